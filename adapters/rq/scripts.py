"""The steps that must be atomic in Redis: a process that is killed leaves either the old state or the new one.

The one rule: a script writes to a job's hash only after it has checked that the hash is still the expected one.
"""

from __future__ import annotations

__all__ = ["FINISH", "MOVE_DUE", "PUT_BACK", "READ", "START", "UNBURY"]

# KEYS hash; ARGV greatest number of bytes -> type of the key, beginning of `data` (read only if the key is a hash).
READ = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' then return {kind, ''} end
local data = redis.call('HGET', KEYS[1], 'data') or ''
return {kind, string.sub(data, 1, tonumber(ARGV[1]))}
"""

# KEYS hash, started registry, intermediate queue; ARGV job id, execution, registry member, expiry, time.
# `worker_name` holds the execution: it is the fencing token that FINISH compares.
START = """
redis.call('LREM', KEYS[3], 1, ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'status', 'started', 'worker_name', ARGV[2], 'started_at', ARGV[5],
           'last_heartbeat', ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
return 1
"""

# KEYS hash, started registry, dead-letter queue; ARGV job id, execution, registry member, name of the dead-letter queue
# -> 0 if somebody rang again meanwhile. If a producer rang for a dead letter, it becomes a dead letter again.
FINISH = """
redis.call('ZREM', KEYS[2], ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
if redis.call('HGET', KEYS[1], 'worker_name') ~= ARGV[2] then return 0 end
if redis.call('LPOS', KEYS[3], ARGV[1]) then
  redis.call('HSET', KEYS[1], 'status', 'queued', 'origin', ARGV[4])
else
  redis.call('DEL', KEYS[1])
end
return 1
"""

# KEYS schedule, hash, ready queue, set of queues; ARGV job id, our queue's name, time
# -> 1 moved, 0 not ours, -1 nothing to move. For a job that is not ours, only its origin is read.
MOVE_DUE = """
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return -1
end
if redis.call('HGET', KEYS[2], 'origin') ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return -1 end
redis.call('HSET', KEYS[2], 'status', 'queued', 'enqueued_at', ARGV[3])
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[1])
return 1
"""

# KEYS intermediate queue, ready queue; ARGV job id
PUT_BACK = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[1]) end
"""

# KEYS hash, dead-letter queue; ARGV job id, name of the dead-letter queue
UNBURY = """
redis.call('LREM', KEYS[2], 0, ARGV[1])
if redis.call('HGET', KEYS[1], 'origin') == ARGV[2] then redis.call('DEL', KEYS[1]) end
"""
