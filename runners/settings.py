"""Everything that can be set, read once from the environment and a `.env` file.

The one rule: a missing or malformed value is one clear line that names the variable, before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from environs import Env, EnvError

from adapters.alerts.webhook import checked_webhook_url
from adapters.http.base_url import checked_base_url
from adapters.voices.voice_url import checked_voice_url

__all__ = ["Settings", "SettingsProblem", "read_settings"]

T = TypeVar("T")
_PREFIX = "POD_ENGAGEMENT_"
_A_YEAR = 365 * 24 * 3_600_000
"""In milliseconds: the longest duration that may be set. Far beyond it, clocks and locks overflow."""


class SettingsProblem(Exception):
    """A variable is missing or malformed; the message names it and says what it should be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """See `runners/variables.py`; `None` means "not set"."""

    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    unipile_api_key: str | None = field(default=None, repr=False)
    unipile_base_url: str = "https://api.unipile.com"
    unipile_api_version: str = "v0"
    concurrency: int = 5
    job_timeout: timedelta = timedelta(seconds=30)
    max_retries: int = 3
    retry_backoff: tuple[timedelta, ...] = (timedelta(0), timedelta(milliseconds=500), timedelta(milliseconds=1500))
    poll_interval: timedelta = timedelta(seconds=2)
    orphan_after: timedelta = timedelta(seconds=6)
    visibility_lag: timedelta = timedelta(seconds=90)
    max_lateness: timedelta | None = None
    shutdown_grace: timedelta = timedelta(seconds=30)
    queue: str = "rq"
    queue_name: str = "pod-engagement"
    dead_letter_queue_name: str = "pod-engagement-dead-letter"
    bullmq_prefix: str = "bull"
    metrics_port: int = 9464
    metrics_host: str = "127.0.0.1"
    alert_webhook_url: str | None = field(default=None, repr=False)
    voice_provider: str = "template"
    voice_base_url: str | None = field(default=None, repr=False)
    voice_api_key: str | None = field(default=None, repr=False)
    voice_model: str | None = None
    voice_timeout: timedelta = timedelta(seconds=10)
    log_level: str = "info"
    log_format: str | None = None

    def need(self, *names: str) -> None:
        """Insist on settings that have no default.

        Raises:
            SettingsProblem: the first of them that is not set.
        """
        for name in names:
            if getattr(self, name) is None:
                raise SettingsProblem(f"{name.upper()} is not set: {_MEANING[name]}")


_MEANING = {
    "database_url": "the PostgreSQL (Supabase) URL, e.g. postgresql://user:password@host:5432/postgres"
    " (or use --embedded)",
    "redis_url": "the Redis or Valkey URL, e.g. redis://host:6379/0 (or use --embedded)",
    "unipile_api_key": "the provider's API key",
    "voice_base_url": "the address of the voice service that VOICE_PROVIDER=http names",
    "voice_api_key": "the API key for VOICE_PROVIDER=openai",
    "voice_model": "the name of the model for VOICE_PROVIDER=openai",
}


def read_settings(dotenv: Path | None = Path(".env")) -> Settings:
    """The settings of this process. Variables that are set win over the `.env` file.

    Raises:
        SettingsProblem: a value is malformed.
    """
    env = Env()
    if dotenv is not None and dotenv.is_file():
        _read_file(env, dotenv)
    dsn = _optional(env, "UNIPILE_DSN")
    voice_provider = _choice(env, "VOICE_PROVIDER", "template", ("template", "openai", "http", "none"))
    job_timeout = _milliseconds(env, "JOB_TIMEOUT", 30_000)
    queue_name = _optional(env, _PREFIX + "QUEUE_NAME") or "pod-engagement"
    return Settings(
        database_url=_optional(env, "DATABASE_URL"),
        redis_url=_optional(env, "REDIS_URL"),
        unipile_api_key=_optional(env, "UNIPILE_API_KEY"),
        unipile_base_url=_base_url(env, dsn),
        unipile_api_version=_choice(env, "UNIPILE_API_VERSION", "v1" if dsn else "v0", ("v0", "v1")),
        concurrency=_whole(env, "WORKER_CONCURRENCY", 5, at_least=1),
        job_timeout=job_timeout,
        max_retries=_whole(env, "MAX_RETRIES", 3, at_least=1),
        retry_backoff=_backoff(env),
        poll_interval=_milliseconds(env, "POLL_INTERVAL_MS", 2_000),
        orphan_after=_milliseconds(env, "ORPHAN_AFTER_MS", 6_000),
        visibility_lag=_milliseconds(env, "VISIBILITY_LAG_MS", 90_000, at_least=0),
        max_lateness=_optional_milliseconds(env, "MAX_LATENESS_MS"),
        shutdown_grace=_optional_milliseconds(env, "SHUTDOWN_GRACE_MS") or job_timeout,
        queue=_choice(env, _PREFIX + "QUEUE", "rq", ("rq", "bullmq")),
        queue_name=queue_name,
        dead_letter_queue_name=_dead_letter_queue_name(env, queue_name),
        bullmq_prefix=_optional(env, _PREFIX + "BULLMQ_PREFIX") or "bull",
        metrics_port=_read(env.int, _PREFIX + "METRICS_PORT", 9464, _bounded(0, 65_535)),
        metrics_host=_optional(env, _PREFIX + "METRICS_HOST") or "127.0.0.1",
        alert_webhook_url=_webhook_url(env),
        voice_provider=voice_provider,
        voice_base_url=_voice_url(env, voice_provider),
        voice_api_key=_optional(env, "VOICE_API_KEY"),
        voice_model=_optional(env, "VOICE_MODEL"),
        voice_timeout=_read(env.int, "VOICE_TIMEOUT_MS", 10_000, _as_milliseconds(at_least=1)),
        log_level=_choice(env, "LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        log_format=_choice(env, "LOG_FORMAT", "", ("", "json", "console")) or None,
    )


def _read_file(env: Env, dotenv: Path) -> None:
    try:
        env.read_env(str(dotenv), recurse=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem(f"{dotenv} cannot be read as UTF-8 text ({type(error).__name__})") from error


def _read(parse: Callable[..., Any], name: str, default: Any, check: Callable[[str, Any], T]) -> T:
    try:
        value = parse(name, default)
    except EnvError as error:
        raise SettingsProblem(f"{name}: {str(error).partition(' invalid: ')[2] or error}") from error
    return check(name, value)


def _optional(env: Env, name: str) -> str | None:
    value: str = env.str(name, "")
    return value.strip() or None


def _choice(env: Env, name: str, default: str, choices: tuple[str, ...]) -> str:
    value = (_optional(env, name) or default).lower()
    if value not in choices:
        raise SettingsProblem(f"{name} is {value!r}; it must be one of {', '.join(filter(None, choices))}")
    return value


def _dead_letter_queue_name(env: Env, queue_name: str) -> str:
    name = _PREFIX + "DEADLETTER_QUEUE_NAME"
    given = _optional(env, name) or "pod-engagement-dead-letter"
    if given == queue_name:
        # What cannot be read would be put where it is read again, for ever.
        raise SettingsProblem(f"{name} is {given!r}, which is the queue that is listened to; it must be another")
    return given


def _whole(env: Env, name: str, default: int, *, at_least: int) -> int:
    return _read(env.int, _PREFIX + name, default, _bounded(at_least))


def _milliseconds(env: Env, name: str, default: int, *, at_least: int = 1) -> timedelta:
    return _read(env.int, _PREFIX + name, default, _as_milliseconds(at_least=at_least))


def _optional_milliseconds(env: Env, name: str) -> timedelta | None:
    return _milliseconds(env, name, 0) if _optional(env, _PREFIX + name) else None


def _bounded(at_least: int, at_most: int | None = None) -> Callable[[str, int], int]:
    def check(name: str, value: int) -> int:
        if value < at_least:
            raise SettingsProblem(f"{name} is {value}; it must be at least {at_least}")
        if at_most is not None and value > at_most:
            raise SettingsProblem(f"{name} is {value}; it must be at most {at_most}")
        return value

    return check


def _as_milliseconds(*, at_least: int) -> Callable[[str, int], timedelta]:
    check = _bounded(at_least, _A_YEAR)
    return lambda name, value: timedelta(milliseconds=check(name, value))


def _backoff(env: Env) -> tuple[timedelta, ...]:
    name = _PREFIX + "RETRY_BACKOFF_MS"
    text = _optional(env, name) or "0,500,1500"
    try:
        delays = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsProblem(f"{name} is {text!r}; it must be milliseconds like 0,500,1500") from error
    if min(delays) < 0:
        raise SettingsProblem(f"{name} is {text!r}; a delay cannot be negative")
    if max(delays) > _A_YEAR:
        raise SettingsProblem(f"{name} is {text!r}; a delay can be at most {_A_YEAR}")
    return tuple(timedelta(milliseconds=delay) for delay in delays)


def _webhook_url(env: Env) -> str | None:
    name = _PREFIX + "ALERT_WEBHOOK_URL"
    given = _optional(env, name)
    try:
        return given and checked_webhook_url(given)
    except ValueError as error:
        raise SettingsProblem(f"{name}: {error}") from None


def _base_url(env: Env, dsn: str | None) -> str:
    given = _optional(env, "UNIPILE_BASE_URL")
    name = "UNIPILE_BASE_URL" if given or not dsn else "UNIPILE_DSN"
    url = given or (f"https://{dsn}" if dsn else "https://api.unipile.com")
    try:
        return checked_base_url(url)
    except ValueError as error:
        raise SettingsProblem(f"{name}: {error}") from error


def _voice_url(env: Env, provider: str) -> str | None:
    name, is_openai = "VOICE_BASE_URL", provider == "openai"
    url = _optional(env, name) or ("https://api.openai.com/v1" if is_openai else None)
    try:
        return url and checked_voice_url(url, takes_query=not is_openai)
    except ValueError as error:
        raise SettingsProblem(f"{name}: {error}") from error
