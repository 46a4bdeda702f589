"""Every variable that is read, for people: the reference page is made from this.

The one rule: it repeats nothing that could go stale unseen. A test reads the settings with these defaults set, and
without them, and finds the same; and it finds every name that is read here, and no other.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VARIABLES", "Variable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """`default` is what could be set to the same effect, None where not setting it is a value of its own. `instead`
    says the default in words where it depends on something. `group` is the heading under which it is shown."""

    group: str
    name: str
    default: str | None
    meaning: str
    instead: str | None = None


def _variable(group: str, name: str, default: str | None, meaning: str, instead: str | None = None) -> Variable:
    return Variable(group=group, name=name, default=default, meaning=meaning, instead=instead)


_SERVERS, _PROVIDER, _WORKER, _RETRIES = "Servers", "Provider", "Worker", "Retries and unknown outcomes"
_QUEUE, _METRICS, _ALERTS, _VOICE, _LOG = "Queue", "Metrics and health", "Alerts", "Voice", "Log"

VARIABLES: tuple[Variable, ...] = (
    _variable(
        _SERVERS,
        "DATABASE_URL",
        None,
        "PostgreSQL or Supabase: direct, session pooler or transaction pooler. Needed, but for `--embedded`.",
    ),
    _variable(
        _SERVERS,
        "REDIS_URL",
        None,
        "Redis 6.2 or later, or Valkey: `redis://`, `rediss://`, `unix://`. Needed, but for `--embedded`.",
    ),
    _variable(_PROVIDER, "UNIPILE_API_KEY", None, "Needed. Never logged, never in an error or a row."),
    _variable(
        _PROVIDER,
        "UNIPILE_DSN",
        None,
        "`apiN.unipile.com:PORT`, as the provider's dashboard shows it; selects the v1 API.",
    ),
    _variable(
        _PROVIDER,
        "UNIPILE_BASE_URL",
        "https://api.unipile.com",
        "Scheme, host and port alone; `http://` only to this machine.",
        "`https://{UNIPILE_DSN}`, else `https://api.unipile.com`",
    ),
    _variable(_PROVIDER, "UNIPILE_API_VERSION", "v0", "`v0` or `v1`.", "`v1` with a DSN, else `v0`"),
    _variable(_WORKER, "POD_ENGAGEMENT_WORKER_CONCURRENCY", "5", "Threads."),
    _variable(
        _WORKER,
        "POD_ENGAGEMENT_JOB_TIMEOUT",
        "30000",
        "Milliseconds: the hard total deadline of one attempt, voice included.",
    ),
    _variable(
        _WORKER,
        "POD_ENGAGEMENT_POLL_INTERVAL_MS",
        "2000",
        "The sweep when there is nothing to do; kept between 1 and 5 s.",
    ),
    _variable(_WORKER, "POD_ENGAGEMENT_ORPHAN_AFTER_MS", "6000", "A worker that has been silent for so long is dead."),
    _variable(
        _WORKER,
        "POD_ENGAGEMENT_SHUTDOWN_GRACE_MS",
        None,
        "How long a drain may take.",
        "`POD_ENGAGEMENT_JOB_TIMEOUT`",
    ),
    _variable(
        _RETRIES,
        "POD_ENGAGEMENT_MAX_RETRIES",
        "3",
        "Attempts in all that the provider refused; then a dead letter.",
    ),
    _variable(_RETRIES, "POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,500,1500", "The delay before attempt 1, 2, 3."),
    _variable(
        _RETRIES,
        "POD_ENGAGEMENT_VISIBILITY_LAG_MS",
        "90000",
        "How long the provider's reads may lag behind its writes. Too short, and a comment may be sent twice.",
    ),
    _variable(
        _RETRIES,
        "POD_ENGAGEMENT_MAX_LATENESS_MS",
        None,
        "An activity later than this is not sent any more (`too_late`). Counted from `scheduled_for`, so that retries"
        " and cool-downs count too, or from a person's requeue.",
        "no limit",
    ),
    _variable(
        _QUEUE,
        "POD_ENGAGEMENT_QUEUE",
        "rq",
        "The doorbell: `rq`, or [`bullmq`](queue.md#bullmq) for a Node E-04 (the extra `bullmq`).",
    ),
    _variable(_QUEUE, "POD_ENGAGEMENT_QUEUE_NAME", "pod-engagement", "The queue that is listened to."),
    _variable(
        _QUEUE,
        "POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME",
        "pod-engagement-dead-letter",
        "The queue that mirrors the dead letters.",
    ),
    _variable(
        _QUEUE,
        "POD_ENGAGEMENT_BULLMQ_PREFIX",
        "bull",
        "With `bullmq`: the `prefix` that the Node service gives to its `Queue`, if it gives one.",
    ),
    _variable(_METRICS, "POD_ENGAGEMENT_METRICS_PORT", "9464", "`/metrics`, `/healthz`, `/readyz`; 0 turns them off."),
    _variable(_METRICS, "POD_ENGAGEMENT_METRICS_HOST", "127.0.0.1", "Where they are served."),
    _variable(
        _ALERTS,
        "POD_ENGAGEMENT_ALERT_WEBHOOK_URL",
        None,
        "[Alerts](alerts.md) as JSON POSTs (with a `text` as Slack takes it), besides the log.",
    ),
    _variable(_VOICE, "VOICE_PROVIDER", "template", "[`template`, `openai`, `http` or `none`](voices.md)."),
    _variable(
        _VOICE,
        "VOICE_BASE_URL",
        None,
        "The endpoint of `openai`, the address of `http`; `http://` only to this machine.",
        "`https://api.openai.com/v1` for `openai`",
    ),
    _variable(_VOICE, "VOICE_API_KEY", None, "Needed by `openai`; `http` sends it if it is set."),
    _variable(_VOICE, "VOICE_MODEL", None, "Needed by `openai`."),
    _variable(_VOICE, "VOICE_TIMEOUT_MS", "10000", "For the voice, within half of the attempt's deadline."),
    _variable(_LOG, "LOG_LEVEL", "info", "`debug`, `info`, `warning` or `error`."),
    _variable(_LOG, "LOG_FORMAT", None, "`json` or `console`.", "`console` on a terminal, else `json`"),
)
