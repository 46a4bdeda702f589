"""Everything that can be set. Each field says its variable, its default, its meaning and its check.

The one rule: a missing or malformed value is one clear line that names the variable, before anything starts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta

from adapters.alerts.webhook import checked_webhook_url
from adapters.http.base_url import checked_base_url
from runners.settings.variable import (
    SettingsProblem,
    Variable,
    address,
    backoff,
    choice,
    milliseconds,
    setting,
    text,
    variable_of,
    whole,
)

__all__ = ["DSN", "VARIABLES", "Settings"]

_SERVERS, _PROVIDER, _WORKER, _RETRIES = "Servers", "Provider", "Worker", "Retries and unknown outcomes"
_QUEUE, _METRICS, _ALERTS, _VOICE, _LOG = "Queue", "Metrics and health", "Alerts", "Voice", "Log"

DSN = Variable(
    group=_PROVIDER,
    name="UNIPILE_DSN",
    default=None,
    meaning="`apiN.unipile.com:PORT`, as the provider's dashboard shows it; selects the v1 API.",
    parse=text,
)
"""It sets no field of its own: the address and the version follow from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """`None` means "not set"."""

    database_url: str | None = setting(
        _SERVERS,
        "DATABASE_URL",
        None,
        "PostgreSQL or Supabase: direct, session pooler or transaction pooler. Needed, but for `--embedded`.",
        text,
        lack="the PostgreSQL (Supabase) URL, e.g. postgresql://user:password@host:5432/postgres (or use --embedded)",
        secret=True,
    )
    redis_url: str | None = setting(
        _SERVERS,
        "REDIS_URL",
        None,
        "Redis 6.2 or later, or Valkey: `redis://`, `rediss://`, `unix://`. Needed, but for `--embedded` and for"
        " `POD_ENGAGEMENT_QUEUE=none`.",
        text,
        lack="the Redis or Valkey URL, e.g. redis://host:6379/0 (or use --embedded, or POD_ENGAGEMENT_QUEUE=none to"
        " work without Redis)",
        secret=True,
    )
    unipile_api_key: str | None = setting(
        _PROVIDER,
        "UNIPILE_API_KEY",
        None,
        "Needed. Never logged, never in an error or a row.",
        text,
        lack="the provider's API key",
        secret=True,
    )
    unipile_base_url: str = setting(
        _PROVIDER,
        "UNIPILE_BASE_URL",
        "https://api.unipile.com",
        "Scheme, host and port alone; `http://` only to this machine.",
        address(checked_base_url),
        instead="`https://{UNIPILE_DSN}`, else `https://api.unipile.com`",
    )
    unipile_api_version: str = setting(
        _PROVIDER,
        "UNIPILE_API_VERSION",
        "v0",
        "`v0` or `v1`.",
        choice("v0", "v1"),
        instead="`v1` with a DSN, else `v0`",
    )
    concurrency: int = setting(_WORKER, "POD_ENGAGEMENT_WORKER_CONCURRENCY", "5", "Threads.", whole(at_least=1))
    job_timeout: timedelta = setting(
        _WORKER,
        "POD_ENGAGEMENT_JOB_TIMEOUT",
        "30000",
        "Milliseconds: the hard total deadline of one attempt, voice included.",
        milliseconds(),
    )
    poll_interval: timedelta = setting(
        _WORKER,
        "POD_ENGAGEMENT_POLL_INTERVAL_MS",
        "2000",
        "The sweep when there is nothing to do; kept between 1 and 5 s.",
        milliseconds(),
    )
    orphan_after: timedelta = setting(
        _WORKER,
        "POD_ENGAGEMENT_ORPHAN_AFTER_MS",
        "6000",
        "A worker that has been silent for so long is dead.",
        milliseconds(),
    )
    shutdown_grace: timedelta = setting(
        _WORKER,
        "POD_ENGAGEMENT_SHUTDOWN_GRACE_MS",
        None,
        "How long a drain may take.",
        milliseconds(),
        instead="`POD_ENGAGEMENT_JOB_TIMEOUT`",
        unset=timedelta(seconds=30),
    )
    max_retries: int = setting(
        _RETRIES,
        "POD_ENGAGEMENT_MAX_RETRIES",
        "3",
        "Attempts in all that the provider refused; then a dead letter.",
        whole(at_least=1),
    )
    retry_backoff: tuple[timedelta, ...] = setting(
        _RETRIES, "POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,500,1500", "The delay before attempt 1, 2, 3.", backoff
    )
    visibility_lag: timedelta = setting(
        _RETRIES,
        "POD_ENGAGEMENT_VISIBILITY_LAG_MS",
        "90000",
        "How long the provider's reads may lag behind its writes. Too short, and a comment may be sent twice.",
        milliseconds(at_least=0),
    )
    max_lateness: timedelta | None = setting(
        _RETRIES,
        "POD_ENGAGEMENT_MAX_LATENESS_MS",
        None,
        "An activity later than this is not sent any more (`too_late`). Counted from `scheduled_for`, so that retries"
        " and cool-downs count too, or from a person's requeue.",
        milliseconds(),
        instead="no limit",
    )
    queue: str = setting(
        _QUEUE,
        "POD_ENGAGEMENT_QUEUE",
        "rq",
        "The doorbell: `rq`, or [`bullmq`](queue.md#bullmq) for a Node E-04 (the extra `bullmq`), or"
        " [`none`](queue.md#no-queue): no Redis at all, the sweep alone finds what is due.",
        choice("rq", "bullmq", "none"),
    )
    queue_name: str = setting(
        _QUEUE, "POD_ENGAGEMENT_QUEUE_NAME", "pod-engagement", "The queue that is listened to.", text
    )
    dead_letter_queue_name: str = setting(
        _QUEUE,
        "POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME",
        "pod-engagement-dead-letter",
        "The queue that mirrors the dead letters.",
        text,
    )
    bullmq_prefix: str = setting(
        _QUEUE,
        "POD_ENGAGEMENT_BULLMQ_PREFIX",
        "bull",
        "With `bullmq`: the `prefix` that the Node service gives to its `Queue`, if it gives one.",
        text,
    )
    metrics_port: int = setting(
        _METRICS,
        "POD_ENGAGEMENT_METRICS_PORT",
        "9464",
        "`/metrics`, `/healthz`, `/readyz`; 0 turns them off.",
        whole(at_least=0, at_most=65_535),
    )
    metrics_host: str = setting(_METRICS, "POD_ENGAGEMENT_METRICS_HOST", "127.0.0.1", "Where they are served.", text)
    alert_webhook_url: str | None = setting(
        _ALERTS,
        "POD_ENGAGEMENT_ALERT_WEBHOOK_URL",
        None,
        "[Alerts](alerts.md) as JSON POSTs (with a `text` as Slack takes it), besides the log.",
        address(checked_webhook_url),
        secret=True,
    )
    voice_provider: str = setting(
        _VOICE,
        "VOICE_PROVIDER",
        "template",
        "[`template`, `openai`, `http` or `none`](voices.md).",
        choice("template", "openai", "http", "none"),
    )
    voice_base_url: str | None = setting(
        _VOICE,
        "VOICE_BASE_URL",
        None,
        "The endpoint of `openai`, the address of `http`; `http://` only to this machine.",
        text,
        instead="`https://api.openai.com/v1` for `openai`",
        lack="the address of the voice service that VOICE_PROVIDER=http names",
        secret=True,
    )
    voice_api_key: str | None = setting(
        _VOICE,
        "VOICE_API_KEY",
        None,
        "Needed by `openai`; `http` sends it if it is set.",
        text,
        lack="the API key for VOICE_PROVIDER=openai",
        secret=True,
    )
    voice_model: str | None = setting(
        _VOICE,
        "VOICE_MODEL",
        None,
        "Needed by `openai`.",
        text,
        lack="the name of the model for VOICE_PROVIDER=openai",
    )
    voice_timeout: timedelta = setting(
        _VOICE, "VOICE_TIMEOUT_MS", "10000", "For the voice, within half of the attempt's deadline.", milliseconds()
    )
    log_level: str = setting(
        _LOG,
        "LOG_LEVEL",
        "info",
        "`debug`, `info`, `warning` or `error`.",
        choice("debug", "info", "warning", "error"),
    )
    log_format: str | None = setting(
        _LOG,
        "LOG_FORMAT",
        None,
        "`json` or `console`.",
        choice("json", "console"),
        instead="`console` on a terminal, else `json`",
    )

    @property
    def has_queue(self) -> bool:
        """Whether there is a queue. Without one, Redis is neither needed nor asked for anything."""
        return self.queue != "none"

    @property
    def servers(self) -> tuple[str, ...]:
        """The settings that name the servers to connect to."""
        return ("database_url", "redis_url") if self.has_queue else ("database_url",)

    def need(self, *names: str) -> None:
        """Insist on settings that have no default.

        Raises:
            SettingsProblem: the first of them that is not set.
        """
        for name in names:
            if getattr(self, name) is None:
                variable = variable_of(self.__dataclass_fields__[name].metadata)
                raise SettingsProblem(f"{variable.name} is not set: {variable.lack}")


def _with_dsn() -> tuple[Variable[object], ...]:
    variables = [variable_of(each.metadata) for each in fields(Settings)]
    variables.insert(variables.index(next(each for each in variables if each.name == "UNIPILE_BASE_URL")), DSN)
    return tuple(variables)


VARIABLES = _with_dsn()
"""Every variable that is read, in the order of the reference page."""
