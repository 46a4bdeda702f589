"""Every variable, and every way to get it wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from runners.settings import Settings, SettingsProblem, read_settings


@pytest.fixture
def _nothing_set() -> Iterator[None]:
    # The whole environment, because reading a `.env` file adds to it what nobody else would take back.
    with patch.dict(os.environ, clear=True):
        yield


@pytest.fixture(autouse=True)
def _nothing_there(_nothing_set: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # In this order: what a test sets by `monkeypatch` is undone first, then the environment is put back.
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("DATABASE_URL", "postgresql://h/d", "database_url", "postgresql://h/d"),
        ("REDIS_URL", "redis://h:6379/0", "redis_url", "redis://h:6379/0"),
        ("UNIPILE_API_KEY", " key ", "unipile_api_key", "key"),
        ("UNIPILE_BASE_URL", "https://api.example.com/", "unipile_base_url", "https://api.example.com"),
        ("UNIPILE_API_VERSION", "V1", "unipile_api_version", "v1"),
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "20", "concurrency", 20),
        ("POD_ENGAGEMENT_JOB_TIMEOUT", "1500", "job_timeout", timedelta(seconds=1.5)),
        ("POD_ENGAGEMENT_MAX_RETRIES", "1", "max_retries", 1),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0, 7", "retry_backoff", (timedelta(0), timedelta(milliseconds=7))),
        ("POD_ENGAGEMENT_POLL_INTERVAL_MS", "1500", "poll_interval", timedelta(seconds=1.5)),
        ("POD_ENGAGEMENT_ORPHAN_AFTER_MS", "1500", "orphan_after", timedelta(seconds=1.5)),
        ("POD_ENGAGEMENT_VISIBILITY_LAG_MS", "0", "visibility_lag", timedelta(0)),
        ("POD_ENGAGEMENT_MAX_LATENESS_MS", "1500", "max_lateness", timedelta(seconds=1.5)),
        ("POD_ENGAGEMENT_MAX_LATENESS_MS", "", "max_lateness", None),
        ("POD_ENGAGEMENT_SHUTDOWN_GRACE_MS", "1500", "shutdown_grace", timedelta(seconds=1.5)),
        ("POD_ENGAGEMENT_QUEUE", "RQ", "queue", "rq"),
        ("POD_ENGAGEMENT_QUEUE", "None", "queue", "none"),
        ("POD_ENGAGEMENT_QUEUE_NAME", "likes", "queue_name", "likes"),
        ("POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME", "lost", "dead_letter_queue_name", "lost"),
        ("POD_ENGAGEMENT_BULLMQ_PREFIX", "{e-04}", "bullmq_prefix", "{e-04}"),
        ("POD_ENGAGEMENT_METRICS_PORT", "0", "metrics_port", 0),
        ("POD_ENGAGEMENT_METRICS_HOST", "::1", "metrics_host", "::1"),
        ("VOICE_PROVIDER", "none", "voice_provider", "none"),
        ("VOICE_TIMEOUT_MS", "1500", "voice_timeout", timedelta(seconds=1.5)),
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("LOG_FORMAT", "console", "log_format", "console"),
    ],
)
def test_each_variable_is_read_under_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, attribute: str, expected: Any
) -> None:
    """And sets what it says."""
    monkeypatch.setenv(name, value)
    assert getattr(read_settings(), attribute) == expected


def test_nothing_set_gives_the_contracts_defaults() -> None:
    """What the README's table says."""
    settings = read_settings()
    assert settings == Settings()
    assert (settings.concurrency, settings.max_retries) == (5, 3)
    assert settings.retry_backoff == tuple(timedelta(milliseconds=ms) for ms in (0, 500, 1500))
    assert (settings.unipile_base_url, settings.unipile_api_version) == ("https://api.unipile.com", "v0")


def test_a_dsn_selects_the_real_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the provider's dashboard shows it; another address wins."""
    monkeypatch.setenv("UNIPILE_DSN", "api1.unipile.com:13111")
    settings = read_settings()
    assert (settings.unipile_base_url, settings.unipile_api_version) == ("https://api1.unipile.com:13111", "v1")
    monkeypatch.setenv("UNIPILE_BASE_URL", "http://127.0.0.1:8080")
    monkeypatch.setenv("UNIPILE_API_VERSION", "v0")
    settings = read_settings()
    assert (settings.unipile_base_url, settings.unipile_api_version) == ("http://127.0.0.1:8080", "v0")


def test_the_grace_follows_the_job_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is set."""
    monkeypatch.setenv("POD_ENGAGEMENT_JOB_TIMEOUT", "5000")
    assert read_settings().shutdown_grace == timedelta(seconds=5)
    monkeypatch.setenv("POD_ENGAGEMENT_SHUTDOWN_GRACE_MS", "700")
    assert read_settings().shutdown_grace == timedelta(milliseconds=700)


def test_without_a_queue_redis_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is left over is neither needed nor looked at, and neither are the names of queues."""
    monkeypatch.setenv("POD_ENGAGEMENT_QUEUE", "none")
    monkeypatch.setenv("REDIS_URL", "not a URL")
    monkeypatch.setenv("POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME", "pod-engagement")
    settings = read_settings()
    assert (settings.redis_url, settings.has_queue, settings.servers) == (None, False, ("database_url",))


def test_a_queue_that_does_not_exist_is_told_with_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of the variable."""
    monkeypatch.setenv("POD_ENGAGEMENT_QUEUE", "off")
    with pytest.raises(SettingsProblem, match=r"^POD_ENGAGEMENT_QUEUE is 'off'; it must be one of rq, bullmq, none$"):
        read_settings()


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file is the fallback."""
    (tmp_path / ".env").write_text("REDIS_URL=redis://from-file\nPOD_ENGAGEMENT_MAX_RETRIES=7\n")
    monkeypatch.setenv("POD_ENGAGEMENT_MAX_RETRIES", "9")
    settings = read_settings()
    assert (settings.redis_url, settings.max_retries) == ("redis://from-file", 9)


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """In one line, like a malformed value."""
    (tmp_path / ".env").write_bytes(b"REDIS_URL=\xff\xfe")
    with pytest.raises(SettingsProblem, match=r"^\.env cannot be read as UTF-8 text"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "many"),
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "0"),
        ("POD_ENGAGEMENT_JOB_TIMEOUT", "-1"),
        ("POD_ENGAGEMENT_JOB_TIMEOUT", "9" * 20),
        ("POD_ENGAGEMENT_MAX_RETRIES", "1.5"),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,soon"),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,-5"),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0," + "9" * 20),
        ("POD_ENGAGEMENT_POLL_INTERVAL_MS", "x"),
        ("POD_ENGAGEMENT_ORPHAN_AFTER_MS", "0"),
        ("POD_ENGAGEMENT_VISIBILITY_LAG_MS", "-1"),
        ("POD_ENGAGEMENT_MAX_LATENESS_MS", "never"),
        ("POD_ENGAGEMENT_SHUTDOWN_GRACE_MS", "x"),
        ("POD_ENGAGEMENT_QUEUE", "kafka"),
        ("POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME", "pod-engagement"),
        ("UNIPILE_BASE_URL", "http://api.example.com"),
        ("UNIPILE_BASE_URL", "https://api.example.com/v1"),
        ("UNIPILE_DSN", "a b"),
        ("UNIPILE_API_VERSION", "v9"),
        ("VOICE_PROVIDER", "opera"),
        ("VOICE_TIMEOUT_MS", "x"),
        ("VOICE_TIMEOUT_MS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_malformed_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Before anything starts."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsProblem) as problem:
        read_settings()
    assert name in str(problem.value)
    assert "\n" not in str(problem.value)


def test_secrets_are_not_in_the_repr() -> None:
    """Nobody prints settings on purpose."""
    secret = Settings(database_url="postgresql://u:geheim@h/d", redis_url="redis://:geheim@h", unipile_api_key="geheim")
    assert "geheim" not in repr(secret)


def test_what_is_needed_and_not_set_is_named() -> None:
    """With what it should be."""
    with pytest.raises(SettingsProblem, match="DATABASE_URL is not set: the PostgreSQL"):
        Settings().need("database_url")


def test_webhook_address_is_checked_and_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may contain a password, and often is one."""
    monkeypatch.setenv("POD_ENGAGEMENT_ALERT_WEBHOOK_URL", "https://ana:geheim@hooks.example.com/geheim")
    settings = read_settings()
    assert settings.alert_webhook_url == "https://ana:geheim@hooks.example.com/geheim"
    assert "geheim" not in repr(settings)
    monkeypatch.setenv("POD_ENGAGEMENT_ALERT_WEBHOOK_URL", "http://hooks.example.com/geheim")
    with pytest.raises(SettingsProblem, match="POD_ENGAGEMENT_ALERT_WEBHOOK_URL: must be https") as problem:
        read_settings()
    assert "geheim" not in str(problem.value)
