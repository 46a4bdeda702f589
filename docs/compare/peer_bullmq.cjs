// BullMQ: `node peer_bullmq.cjs work` is a worker with concurrency 5, `node peer_bullmq.cjs ORDERS` enqueues.
// The work is that of peer_work.py: the same SELECT, the same POST, the same UPDATE, connections that are kept.
const fs = require('fs');
const { Queue, Worker } = require('bullmq');
const { Pool: Database } = require('pg');
const { Pool: Provider } = require('undici');

const CONCURRENCY = 5;
const PAST_TOO_LONG = 1000;
const READ = `
SELECT a.post_id, l.unipile_account_id FROM pod_activities a
JOIN pods p ON p.id = a.pod_id JOIN linkedin_accounts l ON l.id = p.linkedin_account_id
WHERE a.id = $1 AND a.status = 'scheduled'`;
const WRITE = "UPDATE pod_activities SET status = 'executed', executed_at = now() WHERE id = $1";

const redis = new URL(process.env.REDIS_URL);
const connection = {
  host: redis.hostname,
  port: Number(redis.port),
  password: redis.password,
  maxRetriesPerRequest: null,
};

async function work() {
  const database = new Database({ connectionString: process.env.DATABASE_URL, max: CONCURRENCY, idleTimeoutMillis: 0 });
  const provider = new Provider(process.env.PROVIDER_URL, { connections: CONCURRENCY, pipelining: 1 });
  const engage = async (job) => {
    const { rows } = await database.query(READ, [job.data.activity_id]);
    if (rows.length === 0) return;
    const like = { account_id: rows[0].unipile_account_id, post_id: rows[0].post_id, reaction_type: 'like' };
    const answer = await provider.request({
      method: 'POST',
      path: '/api/v1/posts/reaction',
      headers: { 'X-API-KEY': 'bench-key', 'Content-Type': 'application/json' },
      body: JSON.stringify(like),
    });
    await answer.body.json();
    if (answer.statusCode !== 201) throw new Error(`the provider said ${answer.statusCode}`);
    await database.query(WRITE, [job.data.activity_id]);
  };
  const worker = new Worker('peer', engage, { connection, concurrency: CONCURRENCY });
  worker.on('failed', (job, error) => console.error(error));
  await worker.waitUntilReady();
  console.log('peer ready');
}

async function enqueue(file) {
  const queue = new Queue('peer', { connection });
  const orders = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (let first = 0; first < orders.length; first += 500) {
    const now = Date.now();
    await queue.addBulk(orders.slice(first, first + 500).map(([id, at]) => {
      const wait = at * 1000 - now;
      const opts = wait < -PAST_TOO_LONG ? {} : { delay: Math.max(0, Math.round(wait)), timestamp: now };
      return { name: 'engage', data: { activity_id: id }, opts };
    }));
  }
  await queue.close();
}

const task = process.argv[2] === 'work' ? work() : enqueue(process.argv[2]);
task.catch((error) => { console.error(error); process.exit(1); });
