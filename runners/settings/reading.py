"""Reads the settings, once, from the environment and a `.env` file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from environs import Env

from adapters.http.base_url import checked_base_url
from adapters.voices.voice_url import checked_voice_url
from runners.settings.settings import DSN, Settings
from runners.settings.variable import SettingsProblem, address, variable_of

__all__ = ["read_settings"]

_OPENAI = "https://api.openai.com/v1"


def read_settings(dotenv: Path | None = Path(".env")) -> Settings:
    """The settings of this process. Variables that are set win over the `.env` file.

    Raises:
        SettingsProblem: a value is malformed.
    """
    env = Env()
    if dotenv is not None and dotenv.is_file():
        _read_file(env, dotenv)
    given = {each.name: variable_of(each.metadata).given(env) for each in fields(Settings)}
    found = {name: value for name, value in given.items() if value is not None}
    _follow_dsn(found, DSN.given(env))
    _follow_voice(found)
    _follow_queue(found)
    if "job_timeout" in found:
        found.setdefault("shutdown_grace", found["job_timeout"])
    settings = Settings(**found)
    _check_queues(settings)
    return settings


def _read_file(env: Env, dotenv: Path) -> None:
    try:
        env.read_env(str(dotenv), recurse=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem(f"{dotenv} cannot be read as UTF-8 text ({type(error).__name__})") from error


def _follow_dsn(found: dict[str, Any], dsn: str | None) -> None:
    if dsn is None:
        return
    found.setdefault("unipile_api_version", "v1")
    if "unipile_base_url" not in found:
        found["unipile_base_url"] = address(checked_base_url)(DSN.name, f"https://{dsn}")


def _follow_voice(found: dict[str, Any]) -> None:
    is_openai = found.get("voice_provider") == "openai"
    url = found.get("voice_base_url", _OPENAI if is_openai else None)
    if url is not None:
        check = address(lambda given: checked_voice_url(given, takes_query=not is_openai))
        found["voice_base_url"] = check("VOICE_BASE_URL", url)


def _follow_queue(found: dict[str, Any]) -> None:
    if found.get("queue") == "none":
        found.pop("redis_url", None)  # nobody connects to it, so nobody has to say whether it is well-formed


def _check_queues(settings: Settings) -> None:
    name = settings.dead_letter_queue_name
    if settings.has_queue and name == settings.queue_name:
        # A job that cannot be read would be put where it is read again, for ever.
        raise SettingsProblem(
            f"POD_ENGAGEMENT_DEADLETTER_QUEUE_NAME is {name!r}, which is the queue that is listened to;"
            " it must be another"
        )
