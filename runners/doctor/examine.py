"""The list of checks: their order, and what each one needs.

The one rule: one failure hides no other. A check that needs a failed check is skipped and says so. Every other check
runs, within a time limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import unquote, urlsplit

from runners.doctor import database, provider, queue, surroundings
from runners.doctor.configuration import CONFIGURATION, check_configuration
from runners.doctor.context import Context
from runners.doctor.finding import Finding, Level, failed, skipped

__all__ = ["CHECKS", "Check", "examine"]

_UNWELL = (Level.FAILED, Level.SKIPPED)
_VOICE = ("VOICE_BASE_URL", "VOICE_API_KEY", "VOICE_PROVIDER", "VOICE_MODEL")
_PROVIDER = ("UNIPILE_API_KEY", "UNIPILE_BASE_URL", "UNIPILE_DSN", "UNIPILE_API_VERSION")
_METRICS = ("POD_ENGAGEMENT_METRICS_PORT", "POD_ENGAGEMENT_METRICS_HOST")
_SHORTEST_SECRET = 8
_THREADS = "POD_ENGAGEMENT_WORKER_CONCURRENCY"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A small function, and the names of the findings that must not have failed before it runs.

    `within` is its time limit; None if the check has a limit of its own and must not be abandoned half-way. A check
    that is not `wanted` is left out.
    """

    name: str
    run: Callable[[Context], tuple[Finding, ...]]
    needs: tuple[str, ...] = ()
    within: timedelta | None = timedelta(seconds=15)
    wanted: Callable[[Context], bool] = lambda _: True


def _of_database(name: str, run: Callable[[Context], tuple[Finding, ...]], *needs: str) -> Check:
    return Check(name=name, run=run, needs=("PostgreSQL", *needs))


def _of_redis(name: str, run: Callable[[Context], tuple[Finding, ...]], *needs: str) -> Check:
    return Check(name=name, run=run, needs=needs or ("Redis",), wanted=_has_queue)


def _has_queue(context: Context) -> bool:
    return context.settings.has_queue


CHECKS: tuple[Check, ...] = (
    Check(name=CONFIGURATION, run=check_configuration),
    Check(name="data folder", run=surroundings.check_data_folder),
    Check(
        name="embedded servers",
        run=surroundings.check_embedded_servers,
        needs=("data folder",),
        within=None,
    ),
    Check(name="PostgreSQL", run=database.check_database, needs=(CONFIGURATION, "DATABASE_URL", "embedded servers")),
    _of_database("PostgreSQL encryption", database.check_encryption),
    _of_database("PostgreSQL writes", database.check_read_only),
    _of_database("schema", database.check_schema),
    _of_database("rules", database.check_rules),
    _of_database("ids", database.check_ids),
    _of_database("triggers", database.check_triggers),
    _of_database("grants", database.check_grants, "schema"),
    _of_database("row security", database.check_row_security, "schema"),
    Check(
        name="dry run",
        run=database.check_dry_run,
        needs=("PostgreSQL", "PostgreSQL writes", "schema", "rules", "grants", "row security"),
        wanted=lambda context: context.wants_dry_run,
    ),
    _of_database("connections", database.check_connections, _THREADS),
    _of_database("pooler", database.check_pooler, _THREADS),
    _of_database("standbys", database.check_standbys),
    _of_database("clock", database.check_clock),
    Check(name="queue", run=queue.check_no_queue, wanted=lambda context: not _has_queue(context)),
    _of_redis("Redis", queue.check_redis, CONFIGURATION, "REDIS_URL", "embedded servers"),
    _of_redis("Redis version", queue.check_redis_version),
    _of_redis("Redis eviction", queue.check_eviction),
    _of_redis("Redis persistence", queue.check_persistence),
    _of_redis("Redis writes", queue.check_replica),
    Check(name="provider", run=provider.check_provider, needs=(CONFIGURATION, *_PROVIDER)),
    Check(
        name="accounts",
        run=provider.check_accounts,
        needs=("provider", "schema", "grants"),
        within=timedelta(seconds=40),
    ),
    Check(name="voice", run=surroundings.check_voice, needs=(CONFIGURATION, *_VOICE)),
    Check(name="metrics port", run=surroundings.check_metrics_port, needs=(CONFIGURATION, *_METRICS)),
)


def examine(context: Context, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """Run the checks one after the other, and yield each finding as soon as it is there."""
    unwell: dict[str, Finding] = {}
    for check in filter(lambda check: check.wanted(context), checks):
        missing = next((name for name in check.needs if name in unwell), None)
        found = _made(check, context) if missing is None else (skipped(check.name, _because(unwell[missing])),)
        for finding in found:
            if finding.level in _UNWELL:
                unwell[finding.name] = finding
            yield _without_secrets(finding, context)


def _because(finding: Finding) -> str:
    return f"{finding.name} {'failed' if finding.level is Level.FAILED else 'was not checked'}"


def _made(check: Check, context: Context) -> tuple[Finding, ...]:
    """Run it in a thread, because some things (a name server, a system call) have no time limit."""
    if check.within is None:
        return _run(check, context)
    found: list[tuple[Finding, ...]] = []
    thread = threading.Thread(target=lambda: found.append(_run(check, context)), name=check.name, daemon=True)
    thread.start()
    thread.join(check.within.total_seconds())
    if found:
        return found[0]
    says = f"The check did not finish within {check.within.total_seconds():g} s."
    return (failed(check.name, says, "Check the network, DNS and firewalls."),)


def _run(check: Check, context: Context) -> tuple[Finding, ...]:
    try:
        return check.run(context)
    except Exception as error:  # noqa: BLE001 - one check's defect must not hide what the others find
        says = f"The check itself failed: {type(error).__name__}: {error}"
        return (failed(check.name, says, "This is a defect in the check. Please report it."),)


def _without_secrets(finding: Finding, context: Context) -> Finding:
    """A last safeguard: the messages should have no secrets already. A value as short as a word is not masked."""
    says = finding.says
    for secret in _secrets(context):
        if len(secret) >= _SHORTEST_SECRET:
            says = says.replace(secret, "***")
    return replace(finding, says=says)


def _secrets(context: Context) -> Iterator[str]:
    settings = context.settings
    yield from filter(None, (settings.unipile_api_key, settings.voice_api_key, settings.alert_webhook_url))
    for url in filter(None, (settings.database_url, settings.redis_url)):
        try:
            password = urlsplit(url).password
        except ValueError:
            continue
        yield from {password, unquote(password)} if password else ()
