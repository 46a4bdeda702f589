// What the tests ask of BullMQ in Node: `node bull.mjs PACKAGE`, one request per line on standard input, one answer each.
// REDIS_URL says where, BULLMQ_PREFIX under which prefix. An answer is {"value": ...} or {"error": "..."}.
import { createInterface } from "node:readline";

const { Queue, QueueEvents, Worker } = await import(process.argv[2]);
const connection = { url: process.env.REDIS_URL };
const prefix = process.env.BULLMQ_PREFIX || "bull";
const queues = new Map();
const queue = (name = "pod-engagement") => {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection, prefix }));
  return queues.get(name);
};

const requests = {
  add: async ({ jobs }) => {
    const added = await Promise.all(jobs.map(({ name, data, opts }) => queue().add(name, data, opts)));
    return added.map((job) => job.id);
  },
  counts: async ({ name }) => queue(name).getJobCounts(),
  job: async ({ id, name }) => {
    const job = await queue(name).getJob(id);
    if (!job) return null;
    const { data, returnvalue, failedReason, attemptsMade, delay, timestamp } = job;
    return { state: await job.getState(), name: job.name, data, returnvalue, failedReason, attemptsMade, delay, timestamp };
  },
  retry: async ({ id }) => (await queue().getJob(id)).retry(),
  pause: async () => queue().pause(),
  resume: async () => queue().resume(),
  // Every event from the beginning, until one of the kind `until` has come `times` times.
  events: async ({ until, times }) => {
    const seen = [];
    const events = new QueueEvents("pod-engagement", { connection, lastEventId: "0-0" });
    await new Promise((resolve) => {
      for (const kind of ["added", "waiting", "active", "delayed", "completed", "failed", "stalled", "removed"]) {
        events.on(kind, (event) => {
          seen.push({ kind, ...event });
          if (seen.filter((each) => each.kind === until).length === times) resolve();
        });
      }
    });
    await events.close();
    return seen;
  },
  // Take one job as a Node worker would, and die with it.
  abandon: async () => {
    const worker = new Worker("pod-engagement", null, { connection });
    const job = await worker.getNextJob("a-dead-worker");
    return job?.id ?? null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { request, ...options } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await requests[request](options)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
