"""`engagement demo`: shows the whole product at work. It needs nothing but this package."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.demo.samples import SAMPLE_PODS, add_samples
from adapters.postgres.store.intake import PostgresIntake
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.new_activity import NewActivity
from engagement_core.ports.queue import QueueUnavailable
from runners.bootstrap import App
from runners.cli.interruptible import interruptible
from runners.cli.servers import servers
from runners.demo.outcome_board import OutcomeBoard
from runners.demo.rehearsal import FAULTS, GONE, Report, report, scenario
from runners.process import working
from runners.settings import Settings

__all__ = ["demo"]

_PATIENCE = 45.0


@click.command(short_help="Watch it work; nothing needs to be set up.")
@click.option("--no-queue", is_flag=True, help="Without Valkey, as with POD_ENGAGEMENT_QUEUE=none.")
def demo(no_queue: bool) -> None:
    """Watch real engagements being executed: real PostgreSQL and Valkey, real HTTP, a simulated provider.

    Three pods engage with ten posts over eight seconds. One request is refused and retried. One answer is lost after
    the provider has applied the like. One post has been deleted. Afterwards nothing is kept and nothing runs.

    Example: engagement demo
    """
    console = Console()
    with interruptible(), tempfile.TemporaryDirectory(prefix="engagement-demo-", ignore_cleanup_errors=True) as folder:
        wanted = Settings(queue="none") if no_queue else Settings()
        console.print(f"Starting PostgreSQL{'' if no_queue else ', Valkey'} and the simulated provider ...")
        with servers(wanted, embedded=True, data=Path(folder)) as chosen, Sandbox(faults=FAULTS) as sandbox:
            settings = _for_the_sandbox(chosen, sandbox.url)
            planned = _schedule(settings)
            result = _perform(console, settings, sandbox, planned)
    _show(console, result)
    if not result.is_good:
        raise click.ClickException("the ledger does not match the plan: see the table above")


def _for_the_sandbox(chosen: Settings, url: str) -> Settings:
    return Settings(
        database_url=chosen.database_url,
        redis_url=chosen.redis_url,
        queue=chosen.queue,
        unipile_api_key="sandbox-key",
        unipile_base_url=url,
        unipile_api_version="v1",
        # Short, so that the read-back of the lost answer happens while the user still watches.
        job_timeout=timedelta(seconds=3),
        visibility_lag=timedelta(seconds=3),
    )


def _schedule(settings: Settings) -> list[NewActivity]:
    add_samples(str(settings.database_url))
    planned = scenario(datetime.now(timezone.utc))
    pool = PostgresPool(str(settings.database_url), size=1)
    try:
        PostgresIntake(pool).add(planned)
    finally:
        pool.close()
    return planned


def _perform(console: Console, settings: Settings, sandbox: Sandbox, planned: list[NewActivity]) -> Report:
    by_id = {each.id: each for each in planned}
    progress = Progress(
        TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    with progress:
        bar = progress.add_task("Engagements", total=len(planned))

        def changed(activity_id: str, outcome: str, fields: Mapping[str, object]) -> None:
            progress.console.print(_line(by_id[activity_id], outcome, fields))
            progress.advance(bar)

        board = OutcomeBoard(changed)
        with working(settings, board) as (app, worker):
            _ring(app, planned)
            worker.start()
            board.wait_for(frozenset(by_id), _PATIENCE)
    return report(planned, board.outcomes, board.called_at, sandbox.ledger())


def _ring(app: App, planned: list[NewActivity]) -> None:
    """Ring for half of them, as E-04 would; the sweep finds the others."""
    with suppress(QueueUnavailable):
        for each in planned[::2]:
            app.queue.ring(each.id, each.scheduled_for)


def _line(activity: NewActivity, outcome: str, fields: Mapping[str, object]) -> str:
    what = f"{activity.pod_id:16} {activity.engagement_type.value:7} {activity.post_id}"
    if outcome == "failed":
        return f"[red]dead letter[/] {what}  {fields.get('message') or fields.get('reason')}"
    found = " (its answer was lost; a read-back found it)" if "verdict" in fields else ""
    return f"[green]executed[/]    {what}{found}"


def _show(console: Console, result: Report) -> None:
    table = Table(title="What happened", show_header=False)
    for name, value in (
        ("pods", len(SAMPLE_PODS)),
        ("executed", result.executed),
        ("failed", result.failed),
        ("dead letters", result.failed),
        ("in the provider's ledger", result.in_ledger),
        ("twice in the ledger", result.duplicates),
        ("lost", result.missing),
        ("lateness p50", f"{result.lateness(0.50):.1f} ms"),
        ("lateness p99", f"{result.lateness(0.99):.1f} ms"),
    ):
        table.add_row(name, str(value))
    console.print(table)
    console.print(f"The dead letter is expected: its author has deleted the post {GONE}.")
