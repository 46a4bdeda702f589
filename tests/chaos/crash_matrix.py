"""Kill a worker at every named step, with every provider behaviour; let a fresh worker go on; compare ledger and rows.

The one rule: the ledger of the provider is the judge. What the database says must follow from it.

`python -m chaos.crash_matrix` in the folder `tests` prints the table of docs/explanation/crash-matrix.md.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from signal import SIGKILL
from typing import Any

import psycopg2

from adapters.postgres.schema.migrate import migrate
from adapters.unipile.sandbox import Sandbox
from chaos.doomed import ON_THE_WIRE, STEPS, execute_doomed
from fakes.telemetry import InMemoryTelemetry
from runners.bootstrap import App, open_app
from runners.settings import Settings
from support.servers import Source, fresh_database, kept_servers

__all__ = ["BEHAVIOURS", "Cell", "Verdict", "run_matrix"]

BEHAVIOURS: dict[str, dict[str, Any] | None] = {
    "applied": None,
    "refused": {"action": "status", "status": 404, "match": {"times": 1}},
    "hung": {"action": "hang", "seconds": 2, "match": {"times": 1}},
    "applied then dropped": {"action": "apply_then_drop", "match": {"times": 1}},
}
JOB_TIMEOUT = timedelta(milliseconds=700)
LAG = timedelta(seconds=2)  # a stalled machine must not become a provider that applies later than it may
_PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One death: where, with what, against which behaviour of the provider."""

    dialect: str
    engagement_type: str
    behaviour: str
    step: str

    @property
    def activity_id(self) -> str:
        """A name that says it all."""
        return "/".join((self.dialect, self.engagement_type, self.behaviour, self.step)).replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of the cell: the row's status, its last error, and how often the provider applied it."""

    cell: Cell
    status: str
    error_type: str | None
    provenance: str | None
    effects: int
    attempts: int

    @property
    def is_kept(self) -> bool:
        """The promise: once at most, never lost, and the row says what the ledger says.

        A like whose outcome cannot be read back (v0) is sent again, because a reaction is set, not added. A comment
        that cannot be read back is left to a person, whatever became of it.
        """
        repeatable = self.cell.dialect == "v0" and self.cell.engagement_type == "like"
        if self.effects > (2 if repeatable else 1):
            return False
        if self.status == "executed":
            return self.effects >= 1
        if self.status != "failed":
            return False
        return self.effects == 0 or (self.error_type == "outcome_unknown" and self.cell.dialect == "v0")


def cells(dialects: Iterable[str]) -> tuple[Cell, ...]:
    """Every combination."""
    return tuple(
        Cell(dialect=dialect, engagement_type=kind, behaviour=behaviour, step=step)
        for dialect in dialects
        for kind in ("like", "comment")
        for behaviour in BEHAVIOURS
        for step in STEPS
    )


def run_matrix(database_url: str, redis_url: str, dialects: Iterable[str] = ("v0", "v1")) -> tuple[Verdict, ...]:
    """Every cell, then a fresh worker per dialect, then the verdicts."""
    verdicts: list[Verdict] = []
    for dialect in dialects:
        with Sandbox(faults=_faults(dialect)) as sandbox:
            settings = Settings(
                database_url=database_url,
                redis_url=redis_url,
                unipile_api_key="sandbox-key",
                unipile_base_url=sandbox.url,
                unipile_api_version=dialect,
                job_timeout=JOB_TIMEOUT,
                visibility_lag=LAG,
                orphan_after=timedelta(seconds=1),
                concurrency=2,
            )
            mine = cells((dialect,))
            _add_activities(database_url, mine)
            for cell in mine:
                _kill(settings, sandbox, cell)
            # The provider stays within its limits, however slow this machine is: what it was to apply, it has applied.
            _until(lambda mine=mine, sandbox=sandbox: _has_applied(sandbox, mine), _PATIENCE)
            _settle(settings, database_url)
            verdicts += _judge(database_url, sandbox, mine)
    return tuple(verdicts)


def _faults(dialect: str) -> list[dict[str, Any]]:
    rules = []
    for cell in cells((dialect,)):
        if cell.step == ON_THE_WIRE:
            # Long enough to be killed between the request's arrival and its answer.
            rules.append({"action": "latency", "ms": 300, "match": {"post_id": _post(cell)}})
        rule = BEHAVIOURS[cell.behaviour]
        if rule is not None:
            rules.append({**rule, "match": {**rule["match"], "post_id": _post(cell)}})
    return rules


def _post(cell: Cell) -> str:
    return f"post-{cell.activity_id}".replace("/", "-")


def _add_activities(database_url: str, mine: tuple[Cell, ...]) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO pods VALUES ('pod', NULL, 'account') ON CONFLICT DO NOTHING")
        cursor.execute(
            "INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id, access_token)"
            " VALUES ('account', 'profile', 'unipile-account', 'token') ON CONFLICT DO NOTHING"
        )
        for cell in mine:
            text = f"About {cell.activity_id}" if cell.engagement_type == "comment" else None
            cursor.execute(
                "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
                " VALUES (%s, 'pod', %s, %s, %s, now())",
                (cell.activity_id, cell.engagement_type, _post(cell), text),
            )


def _kill(settings: Settings, sandbox: Sandbox, cell: Cell) -> None:
    before = sandbox.ledger()["requests"]
    pid = execute_doomed(settings, cell.activity_id, cell.step)
    if cell.step == ON_THE_WIRE:
        _until(lambda: sandbox.ledger()["requests"] > before, 5.0)
        with suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
    os.waitpid(pid, 0)


def _has_applied(sandbox: Sandbox, mine: tuple[Cell, ...]) -> bool:
    """Whether everything that was on the wire when its worker died has been applied, if it is to be."""
    on_the_wire = {
        _post(cell)
        for cell in mine
        if cell.step == ON_THE_WIRE and cell.behaviour in ("applied", "applied then dropped")
    }
    return on_the_wire <= {effect["post_id"] for effect in sandbox.ledger()["effects"]}


def _settle(settings: Settings, database_url: str) -> None:
    """A fresh worker's rounds, until nothing is left to do."""
    with open_app(settings, worker_id=f"fresh-{settings.unipile_api_version}", telemetry=InMemoryTelemetry()) as app:
        _until(lambda: _one_round(app, database_url), _PATIENCE)


def _one_round(app: App, database_url: str) -> bool:
    for each in app.maintenance.tasks():
        if each.name in ("beat", "rescue", "settle"):
            each.do()
    for due in app.executor.store.due(look_ahead=timedelta(0), limit=500):
        app.executor.execute(due.activity_id)
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pod_activities WHERE status = 'scheduled'")
        row = cursor.fetchone()
    return row is not None and row[0] == 0


def _until(done: Any, patience: float) -> None:
    until = time.monotonic() + patience
    while not done():
        assert time.monotonic() < until, "it was not done in time"
        time.sleep(0.02)


def _judge(database_url: str, sandbox: Sandbox, mine: tuple[Cell, ...]) -> list[Verdict]:
    applied = Counter(effect["post_id"] for effect in sandbox.ledger()["effects"])
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.id, a.status, a.last_error->>'error_type', a.execution_result->>'provenance',"
            "       (SELECT count(*) FROM engagement_attempts t WHERE t.activity_id = a.id) FROM pod_activities a"
        )
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    return [
        Verdict(
            cell=cell,
            status=rows[cell.activity_id][0],
            error_type=rows[cell.activity_id][1],
            provenance=rows[cell.activity_id][2],
            attempts=rows[cell.activity_id][3],
            effects=applied[_post(cell)],
        )
        for cell in mine
    ]


def _table(verdicts: Iterable[Verdict]) -> str:
    """The verdicts in Markdown: a row per dialect, engagement and behaviour, a column per step."""
    by_row: dict[tuple[str, str, str], dict[str, Verdict]] = {}
    for verdict in verdicts:
        cell = verdict.cell
        by_row.setdefault((cell.dialect, cell.engagement_type, cell.behaviour), {})[cell.step] = verdict
    lines = [
        f"| dialect | engagement | the provider | {' | '.join(STEPS)} |",
        f"|---|---|---|{'---|' * len(STEPS)}",
    ]
    for row, by_step in by_row.items():
        lines.append(f"| {' | '.join(row)} | {' | '.join(_word(by_step[step]) for step in STEPS)} |")
    return "\n".join(lines)


def _word(verdict: Verdict) -> str:
    how = verdict.provenance or verdict.error_type
    return f"{'' if verdict.is_kept else 'BROKEN '}{verdict.status} ({how}), {verdict.effects} in the ledger"


if __name__ == "__main__":
    with kept_servers(Source.WHEELS) as urls, fresh_database(urls.database_url) as fresh_url:
        migrate(fresh_url)
        sys.stdout.write(_table(run_matrix(fresh_url, urls.redis_url)) + "\n")
