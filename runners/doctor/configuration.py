"""Finds every variable that is missing or wrong, not only the first one.

The one rule: it uses the same reader as every command, and repeats that reader's message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from adapters.http.session import is_header_value
from adapters.postgres.connection.url import checked_database_url
from adapters.rq.connection import RedisServer
from engagement_core.ports.queue import QueueUnavailable
from runners.bootstrap import needed_by_voice, queue_kind
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, warned
from runners.settings import Settings, SettingsProblem, read_settings

__all__ = ["CONFIGURATION", "check_configuration"]

CONFIGURATION = "configuration"
_PAGE = "docs/reference/configuration.md lists the allowed values."
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+\b")
_HARMLESS = ("", "1000")
"""Every kind of variable accepts one of these. The value is never used: its finding has failed."""
_LONGEST_LAG = timedelta(seconds=60)


def check_configuration(context: Context) -> tuple[Finding, ...]:
    """One finding for each wrong variable, under the variable's name. Checks that need the variable are skipped."""
    malformed, is_complete = _read_all(context)
    if not is_complete:
        return malformed
    known = {finding.name for finding in malformed}
    skip = context.settings.servers if context.data_folder else ()
    others = [*_missing(context.settings, skip), *_unusable(context.settings, skip), *_unwise(context.settings)]
    found = (*malformed, *(finding for finding in others if finding.name not in known))
    return found or (fine(CONFIGURATION, "Every needed variable is set, and none is malformed."),)


def _read_all(context: Context) -> tuple[tuple[Finding, ...], bool]:
    """Read the settings. For each wrong variable, set a harmless value and read again.

    The environment wins over a `.env` file, so the harmless value is used. Returns the findings and whether the reading
    is complete. False: something is wrong that no variable can mend, so the settings are not known.
    """
    found: dict[str, Finding] = {}
    left: dict[str, list[str]] = {}
    with _environment_kept():
        while (problem := _problem(context)) is not None:
            name = _name_in(problem)
            found.setdefault(name, failed(name, f"{problem.rstrip('.')}.", f"Correct it: {_PAGE}"))
            values = left.setdefault(name, list(_HARMLESS))
            if name == CONFIGURATION or not values:
                return tuple(found.values()), False
            os.environ[name] = values.pop(0)
    return tuple(found.values()), True


def _problem(context: Context) -> str | None:
    """The first problem; None when the context has its settings."""
    try:
        context.settings = read_settings()
    except SettingsProblem as problem:
        return str(problem)
    return None


def _name_in(problem: str) -> str:
    match = _VARIABLE.match(problem)
    return match[0] if match else CONFIGURATION


@contextmanager
def _environment_kept() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _missing(settings: Settings, skip: tuple[str, ...]) -> Iterator[Finding]:
    for name in (*settings.servers, "unipile_api_key", *needed_by_voice(settings)):
        if name not in skip and (problem := _lack(settings, name)):
            yield failed(name.upper(), f"{problem}.", f"Set it, in the environment or in a .env file: {_PAGE}")


def _lack(settings: Settings, name: str) -> str | None:
    try:
        settings.need(name)
    except SettingsProblem as problem:
        return str(problem)
    return None


def _unusable(settings: Settings, skip: tuple[str, ...]) -> Iterator[Finding]:
    """Values that the reader accepts, but that would fail later, when they are used."""
    try:
        if settings.database_url and "database_url" not in skip:
            checked_database_url(settings.database_url)
    except ValueError as error:
        yield failed("DATABASE_URL", f"DATABASE_URL: {error}.", "Copy it again, and percent-encode its password.")
    try:
        if settings.redis_url and "redis_url" not in skip:
            RedisServer(settings.redis_url)
    except QueueUnavailable as error:
        yield failed("REDIS_URL", f"{error}.", "Copy it again, and percent-encode its password.")
    try:
        queue_kind(settings)
    except SettingsProblem as problem:
        yield failed("POD_ENGAGEMENT_QUEUE", f"{problem}.", "Install it, or remove the variable to use RQ.")
    for name, key in (("UNIPILE_API_KEY", settings.unipile_api_key), ("VOICE_API_KEY", settings.voice_api_key)):
        if not is_header_value(key or ""):
            yield failed(name, f"{name} has characters that no key has.", "Copy it again: printable ASCII only.")


def _unwise(settings: Settings) -> Iterator[Finding]:
    """Valid values that can do harm."""
    is_real = settings.unipile_base_url.startswith("https://")
    if is_real and settings.unipile_api_version == "v1" and settings.visibility_lag < _LONGEST_LAG:
        lag = f"{settings.visibility_lag.total_seconds():g} s"
        says = f"A read-back is trusted {lag} after a deadline, but the provider's reads have lagged by 60 s."
        cure = "Set it to 90000. With less, an engagement that the provider does not show yet is sent again."
        yield warned("POD_ENGAGEMENT_VISIBILITY_LAG_MS", says, cure)
