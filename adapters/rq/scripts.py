"""The steps that must be atomic in Redis: a process that is killed leaves either the old state or the new one.

The one rule: a script writes to a job's hash only after it has checked that the hash is still the expected one. Scripts
that take many jobs make the names of their hashes themselves, as BullMQ's scripts do. They need a Redis without cluster
mode, which RQ needs anyway.
"""

from __future__ import annotations

__all__ = ["ADVANCE", "FINISH", "READ", "RING_AGAIN", "TAKE", "UNBURY"]

# KEYS ready queue, intermediate queue, started registry; ARGV prefix of the hashes, most jobs, most ids to look at,
# most bytes of `data`, execution, expiry, time, id that is in the intermediate queue already (or empty)
# -> 1 if the ready queue has more, then for each job: its id, type of the key, beginning of `data`, its execution.
# A job that RQ's tools understand is marked as started. The others stay in the intermediate queue, and have no
# execution, until the worker has taken them out. An entry whose hash is missing is dropped.
# `worker_name` holds the execution: it is the fencing token that FINISH compares.
TAKE = """
local taken = {}

local function take(id, is_in_between)
  local key = ARGV[1] .. id
  local kind = redis.call('TYPE', key).ok
  local data, execution = '', ''
  if kind == 'hash' then
    data = string.sub(redis.call('HGET', key, 'data') or '', 1, tonumber(ARGV[4]))
  end
  if kind == 'hash' and #id <= 128 and string.find(id, '^[A-Za-z0-9_-]+$') then
    execution = ARGV[5] .. '-' .. #taken
    redis.call('HSET', key, 'status', 'started', 'worker_name', execution, 'started_at', ARGV[7],
               'last_heartbeat', ARGV[7])
    redis.call('ZADD', KEYS[3], ARGV[6], id .. ':' .. execution)
  end
  if is_in_between and (kind == 'none' or execution ~= '') then
    redis.call('LREM', KEYS[2], 1, id)
  elseif not is_in_between and kind ~= 'none' and execution == '' then
    redis.call('RPUSH', KEYS[2], id)
  end
  if kind ~= 'none' then taken[#taken + 1] = {id, kind, data, execution} end
end

if ARGV[8] ~= '' then take(ARGV[8], true) end
local looked_at = 0
while #taken < tonumber(ARGV[2]) and looked_at < tonumber(ARGV[3]) do
  local id = redis.call('LPOP', KEYS[1])
  if not id then break end
  looked_at = looked_at + 1
  take(id, false)
end
return {redis.call('EXISTS', KEYS[1]), unpack(taken)}
"""

# KEYS hash; ARGV greatest number of bytes -> beginning of `data`, empty if the key is no hash.
READ = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return '' end
return string.sub(redis.call('HGET', KEYS[1], 'data') or '', 1, tonumber(ARGV[1]))
"""

# KEYS started registry, dead-letter queue; ARGV prefix of the hashes, name of the dead-letter queue, then for each job:
# its id, execution, registry member
# -> for each job 0 if somebody rang again meanwhile, else 1. If a producer rang for a dead letter, it becomes a dead
# letter again.
FINISH = """
local last_words = {}
for i = 3, #ARGV, 3 do
  local id, execution, key = ARGV[i], ARGV[i + 1], ARGV[1] .. ARGV[i]
  local kind, is_last_word = redis.call('TYPE', key).ok, 1
  redis.call('ZREM', KEYS[1], ARGV[i + 2])
  if kind ~= 'none' then
    if kind ~= 'hash' or redis.call('HGET', key, 'worker_name') ~= execution then
      is_last_word = 0
    elseif redis.call('LPOS', KEYS[2], id) then
      redis.call('HSET', key, 'status', 'queued', 'origin', ARGV[2])
    else
      redis.call('DEL', key)
    end
  end
  last_words[#last_words + 1] = is_last_word
end
return last_words
"""

# KEYS started registry, hash, ready queue; ARGV job id, execution, registry member
RING_AGAIN = """
if redis.call('ZREM', KEYS[1], ARGV[3]) == 0 then return end
if redis.call('HGET', KEYS[2], 'worker_name') ~= ARGV[2] then return end
redis.call('HSET', KEYS[2], 'status', 'queued')
redis.call('RPUSH', KEYS[3], ARGV[1])
"""

# KEYS schedule, ready queue, set of queues, intermediate queue, started registry; ARGV prefix of the hashes, our
# queue's name, score until which jobs are due, score until which started jobs are abandoned, time, most jobs to move,
# most jobs to look at, most others to return, mark of our executions, then ids to put back from the intermediate queue
# -> how many jobs moved, jobs in the ready queue, ids in the intermediate queue, registry members of abandoned jobs.
# For a job that is not ours, only its origin is read.
ADVANCE = """
for i = 10, #ARGV do
  if redis.call('LREM', KEYS[4], 1, ARGV[i]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[i]) end
end

local moved, passed_over = 0, 0
local most_moved, most_looked_at = tonumber(ARGV[6]), tonumber(ARGV[7])
while moved < most_moved and passed_over < most_looked_at do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3], 'LIMIT', passed_over, most_moved - moved)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local key = ARGV[1] .. id
    local kind = redis.call('TYPE', key).ok
    if kind == 'none' then
      redis.call('ZREM', KEYS[1], id)
    elseif kind == 'hash' and redis.call('HGET', key, 'origin') == ARGV[2] then
      redis.call('ZREM', KEYS[1], id)
      redis.call('HSET', key, 'status', 'queued', 'enqueued_at', ARGV[5])
      redis.call('SADD', KEYS[3], KEYS[2])
      redis.call('RPUSH', KEYS[2], id)
      moved = moved + 1
    else
      passed_over = passed_over + 1
    end
  end
end

local abandoned = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', ARGV[4], 'LIMIT', 0, ARGV[8])) do
  if string.find(member, ARGV[9], 1, true) then abandoned[#abandoned + 1] = member end
end
return {moved, redis.call('LLEN', KEYS[2]), redis.call('LRANGE', KEYS[4], 0, tonumber(ARGV[8]) - 1), abandoned}
"""

# KEYS hash, dead-letter queue; ARGV job id, name of the dead-letter queue
UNBURY = """
redis.call('LREM', KEYS[2], 0, ARGV[1])
if redis.call('HGET', KEYS[1], 'origin') == ARGV[2] then redis.call('DEL', KEYS[1]) end
"""
