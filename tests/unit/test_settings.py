"""Every variable, and every way to get it wrong."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from runners.settings import Settings, SettingsProblem, read_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("POD_ENGAGEMENT_", "UNIPILE_", "VOICE_", "LOG_")) or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


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


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file is the fallback. What it sets is taken back, for the tests after this one."""
    (tmp_path / ".env").write_text("REDIS_URL=redis://from-file\nPOD_ENGAGEMENT_MAX_RETRIES=7\n")
    monkeypatch.setenv("POD_ENGAGEMENT_MAX_RETRIES", "9")
    settings = read_settings()
    monkeypatch.setenv("REDIS_URL", "")
    assert (settings.redis_url, settings.max_retries) == ("redis://from-file", 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "many"),
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "0"),
        ("POD_ENGAGEMENT_JOB_TIMEOUT", "-1"),
        ("POD_ENGAGEMENT_MAX_RETRIES", "1.5"),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,soon"),
        ("POD_ENGAGEMENT_RETRY_BACKOFF_MS", "0,-5"),
        ("POD_ENGAGEMENT_POLL_INTERVAL_MS", "x"),
        ("POD_ENGAGEMENT_ORPHAN_AFTER_MS", "0"),
        ("POD_ENGAGEMENT_VISIBILITY_LAG_MS", "-1"),
        ("POD_ENGAGEMENT_MAX_LATENESS_MS", "never"),
        ("POD_ENGAGEMENT_SHUTDOWN_GRACE_MS", "x"),
        ("POD_ENGAGEMENT_QUEUE", "kafka"),
        ("UNIPILE_BASE_URL", "http://api.example.com"),
        ("UNIPILE_BASE_URL", "https://api.example.com/v1"),
        ("UNIPILE_DSN", "a b"),
        ("UNIPILE_API_VERSION", "v9"),
        ("VOICE_PROVIDER", "opera"),
        ("VOICE_TIMEOUT_MS", "x"),
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
