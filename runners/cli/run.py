"""`engagement run`: the worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from runners.bootstrap import new_worker_id
from runners.bootstrap.logs import logging_process
from runners.cli.servers import server_options, servers
from runners.process import run_burst, run_worker
from runners.settings import read_settings

__all__ = ["run"]


@click.command()
@server_options
@click.option("--burst", is_flag=True, help="Do all work that is due, then exit.")
@click.option(
    "--concurrency", type=click.IntRange(1, 200), help="Number of threads (POD_ENGAGEMENT_WORKER_CONCURRENCY)."
)
def run(embedded: bool, data: Path | None, burst: bool, concurrency: int | None) -> None:
    """Execute scheduled engagements until Ctrl-C or SIGTERM.

    After the first signal the worker finishes what is in flight and gives back the rest. A second signal ends it at
    once. In both cases nothing is lost and nothing is sent twice.

    Example: engagement run --embedded --concurrency 3
    """
    settings = read_settings()
    if concurrency is not None:
        settings = replace(settings, concurrency=concurrency)
    worker_id = new_worker_id()
    with servers(settings, embedded, data) as chosen, logging_process(chosen, worker=worker_id) as telemetry:
        work = run_burst if burst else run_worker
        work(chosen, telemetry, worker_id)
