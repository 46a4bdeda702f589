"""Redis: reach it, then judge what it says of itself.

The one rule: only `check_redis` asks; the others are functions of the facts.
"""

from __future__ import annotations

from adapters.rq.examination import Obstacle, Refused, examine_redis
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, warned

__all__ = ["check_eviction", "check_persistence", "check_redis", "check_redis_version", "check_replica"]

_OLDEST = (6, 2)
_CURES = {
    Obstacle.UNREACHABLE: "Check host, port and scheme in REDIS_URL, that the server runs, and the firewall between.",
    Obstacle.PASSWORD: "Correct user and password in REDIS_URL; special characters in it are percent-encoded.",
    Obstacle.TOO_OLD: "Use Redis 6.2 or later, or Valkey.",
    Obstacle.NOT_ALLOWED: "Give the user of REDIS_URL the right to every command, INFO and EVAL among them.",
}


def check_redis(context: Context) -> tuple[Finding, ...]:
    """Reach it, and keep what it says."""
    seen = examine_redis(str(context.settings.redis_url))
    if isinstance(seen, Refused):
        return (failed("Redis", f"{seen.message}.".replace("..", "."), _CURES[seen.obstacle]),)
    context.seen_redis = seen
    return (fine("Redis", f"{seen.name} answers."),)


def check_redis_version(context: Context) -> tuple[Finding, ...]:
    """The queue moves jobs with LMOVE, which came with 6.2."""
    version = context.redis.version
    shown = ".".join(map(str, version))
    if version >= _OLDEST:
        return (fine("Redis version", f"It speaks Redis {shown}."),)
    return (failed("Redis version", f"It is Redis {shown}: too old.", _CURES[Obstacle.TOO_OLD]),)


def check_eviction(context: Context) -> tuple[Finding, ...]:
    """A server that makes room by throwing away keys throws away jobs."""
    policy = context.redis.eviction
    if policy in ("", "noeviction"):
        return (fine("Redis eviction", "It throws no job away." if policy else "It does not tell its policy."),)
    says = f"maxmemory-policy is {policy}: when memory is short, jobs are thrown away."
    cure = "Set maxmemory-policy to noeviction (redis.conf, CONFIG SET or the host's console)."
    return (failed("Redis eviction", says, cure),)


def check_persistence(context: Context) -> tuple[Finding, ...]:
    """Jobs are hints, so it may forget them; but a server that cannot save refuses new ones."""
    if context.redis.saving_failed:
        cure = "Free its disk and look at its log: by default it refuses every write until it can save."
        return (warned("Redis persistence", "Its last save failed.", cure),)
    told = {
        True: "It saves to disk.",
        False: "It saves nothing. No engagement is lost with it: the sweep finds them.",
        None: "It does not tell whether it saves. No engagement would be lost: the sweep finds them.",
    }
    return (fine("Redis persistence", told[context.redis.is_saved]),)


def check_replica(context: Context) -> tuple[Finding, ...]:
    """A replica takes no jobs."""
    if not context.redis.is_replica:
        return (fine("Redis writes", "It takes writes."),)
    return (failed("Redis writes", "It is a replica, which takes no writes.", "Name the primary in REDIS_URL."),)
