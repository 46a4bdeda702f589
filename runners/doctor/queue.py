"""Checks Redis: connects to it, then judges the facts that it reports.

The one rule: only `check_redis` asks the server; the other checks are functions of the facts.
"""

from __future__ import annotations

from adapters.rq.examination import Obstacle, Refused, examine_redis
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, warned

__all__ = [
    "check_eviction",
    "check_no_queue",
    "check_persistence",
    "check_redis",
    "check_redis_version",
    "check_replica",
]

_OLDEST = (6, 2)
_CURES = {
    Obstacle.UNREACHABLE: "Check host, port and scheme in REDIS_URL, that the server runs, and the firewall between.",
    Obstacle.PASSWORD: "Correct user and password in REDIS_URL. Percent-encode special characters.",
    Obstacle.TOO_OLD: "Use Redis 6.2 or later, or Valkey.",
    Obstacle.NOT_ALLOWED: "Allow the user in REDIS_URL to run every command, also INFO and EVAL.",
}


def check_no_queue(_: Context) -> tuple[Finding, ...]:
    """Instead of the other checks, if the settings say that there is no queue."""
    says = "POD_ENGAGEMENT_QUEUE is none: there is no queue, and Redis is not needed. The sweep finds what is due."
    return (fine("queue", says),)


def check_redis(context: Context) -> tuple[Finding, ...]:
    """Connect, and keep the facts."""
    seen = examine_redis(str(context.settings.redis_url))
    if isinstance(seen, Refused):
        return (failed("Redis", f"{seen.message}.".replace("..", "."), _CURES[seen.obstacle]),)
    context.seen_redis = seen
    return (fine("Redis", f"{seen.name} answers."),)


def check_redis_version(context: Context) -> tuple[Finding, ...]:
    """The queue moves jobs with LMOVE, which exists since Redis 6.2."""
    version = context.redis.version
    shown = ".".join(map(str, version))
    if version >= _OLDEST:
        return (fine("Redis version", f"It is compatible with Redis {shown}."),)
    return (failed("Redis version", f"It is Redis {shown}: too old.", _CURES[Obstacle.TOO_OLD]),)


def check_eviction(context: Context) -> tuple[Finding, ...]:
    """A server that evicts keys when its memory is full evicts jobs."""
    policy = context.redis.eviction
    if policy in ("", "noeviction"):
        return (fine("Redis eviction", "It never evicts jobs." if policy else "It does not report its policy."),)
    says = f"maxmemory-policy is {policy}: when memory is full, jobs are evicted."
    cure = "Set maxmemory-policy to noeviction (redis.conf, CONFIG SET or the hosting provider's console)."
    return (failed("Redis eviction", says, cure),)


def check_persistence(context: Context) -> tuple[Finding, ...]:
    """Jobs are only hints, so Redis may lose them. But a server that cannot save refuses new jobs."""
    if context.redis.saving_failed:
        cure = "Free space on its disk, and read its log. By default it refuses every write until it can save."
        return (warned("Redis persistence", "Its last save failed.", cure),)
    told = {
        True: "It saves to disk.",
        False: "It saves nothing to disk. If it loses jobs, no engagement is lost: the sweep finds them.",
        None: "It does not report whether it saves. If it loses jobs, no engagement is lost: the sweep finds them.",
    }
    return (fine("Redis persistence", told[context.redis.is_saved]),)


def check_replica(context: Context) -> tuple[Finding, ...]:
    """A replica accepts no jobs."""
    if not context.redis.is_replica:
        return (fine("Redis writes", "It accepts writes."),)
    return (failed("Redis writes", "It is a replica and accepts no writes.", "Name the primary server in REDIS_URL."),)
