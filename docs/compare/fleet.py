"""Measures 1, 2 and 4 workers on one PostgreSQL: `python docs/compare/fleet.py --write`.

The one rule: all workers run before anything is due, and everything is due at one instant. So the figures have no
start of a process in them, and end with the last effect in the provider's ledger.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import page
import psycopg2
from peers import HERE, THREADS

from runners.bench.bench import measure
from runners.bench.distribution import median
from runners.bench.drain import Drained, drained
from runners.bench.failure import BenchFailed
from runners.bench.lateness import likes_at_one_instant
from runners.bench.stage import Stage, staged

_PAGE = HERE.parent / "explanation" / "fleet.md"
_FLEETS = (1, 2, 4)
_CALL_MS = 500
_PATIENCE = 120.0
_A_MOMENT = 0.2
_PAGE_BYTES = 8192
_EXAMPLE_CORES = 8
_LARGER_FLEETS = (20, 50)
"""What they would cost is calculated: each further worker adds what it added here."""

_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
# Since PostgreSQL 18 the number stands with all other input and output.
_SYNCS_18 = "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
_SYNCS = "SELECT wal_sync FROM pg_stat_wal"
_SYNCS_MOVED_IN = 180_000


@dataclass(frozen=True, kw_only=True)
class Found:
    """One run. `wal_kb` and `syncs` are the server's, for each engagement."""

    workers: int
    run: Drained
    wal_kb: float
    syncs: float


def measure_fleet(stage: Stage, workers: int, count: int, call_ms: int) -> Found:
    """Let so many workers of five threads execute so many likes that are due at one instant."""
    stage.clear()
    if call_ms:
        stage.provider.take([{"action": "latency", "ms": call_ms}])
    with ExitStack() as stack:
        fleet = [stack.enter_context(stage.worker(THREADS, POD_ENGAGEMENT_METRICS_PORT="0")) for _ in range(workers)]
        planned = likes_at_one_instant(count)
        stage.schedule(planned)
        # Waiting costs next to nothing, but it is not what is measured.
        time.sleep(max(0.0, (planned[0].scheduled_for - datetime.now(timezone.utc)).total_seconds() - _A_MOMENT))
        before = _written(stage)
        usage = stage.work_off(*fleet, patience=_PATIENCE)
        for each in fleet:
            each.stop()
    wal, syncs = (after - earlier for after, earlier in zip(_written(stage), before, strict=True))
    run = drained(stage, planned, usage)
    return Found(workers=workers, run=run, wal_kb=wal / 1024 / count, syncs=syncs / count)


def _written(stage: Stage) -> tuple[float, float]:
    """The bytes of the write-ahead log, and how often it was synced to the disk."""
    with closing(psycopg2.connect(stage.day.url)) as connection, connection.cursor() as cursor:
        cursor.execute(_WAL)
        ((wal,),) = cursor.fetchall()
        cursor.execute(_SYNCS_18 if connection.server_version >= _SYNCS_MOVED_IN else _SYNCS)
        ((syncs,),) = cursor.fetchall()
    return float(wal), float(syncs)


def disk_syncs(folder: Path) -> float:
    """How often per second this disk can make one small write durable, one after the other."""
    sync = getattr(os, "fdatasync", os.fsync)
    path = folder / "syncs"
    with path.open("wb") as file:
        file.write(bytes(_PAGE_BYTES * 16))
        file.flush()
        os.fsync(file.fileno())
        began, times = time.monotonic(), 0
        while time.monotonic() - began < 1.0:
            os.pwrite(file.fileno(), bytes(_PAGE_BYTES), times % 16 * _PAGE_BYTES)
            sync(file.fileno())
            times += 1
        rate = times / (time.monotonic() - began)
    path.unlink()
    return rate


def section(where: str, instant: list[list[Found]], slow: list[list[Found]], disk: float) -> str:
    """The text between the markers of the page."""
    lines = [f"{where} Each worker has {THREADS} threads.", ""]
    header = ("the provider answers at once", "engagements/s", "of one worker", "workers' CPU-s per 1,000")
    header += ("PostgreSQL's", "WAL, KiB each", "WAL syncs each")
    lines += page.table(header, [[*_common(runs, instant), *_costs(runs)] for runs in instant])
    header = (f"the provider takes {_CALL_MS} ms", "engagements/s", "of one worker", "of the ideal")
    lines += ["", *page.table(header, [[*_common(runs, slow), _ideal(runs)] for runs in slow])]
    lines += ["", *_limits(instant, disk)]
    return "\n".join(lines)


def _rate(runs: Sequence[Found]) -> float:
    return median(each.run.rate for each in runs)


def _cost(runs: Sequence[Found]) -> float:
    return median(each.run.database_cpu_per_1000 for each in runs)


def _common(runs: list[Found], all_of_them: list[list[Found]]) -> list[str]:
    number = runs[0].workers
    name = f"{number} worker{'s' if number > 1 else ''}"
    rates = [each.run.rate for each in runs]
    return [name, page.spread(rates, 1), f"{_rate(runs) / _rate(all_of_them[0]):.2f} x"]


def _costs(runs: list[Found]) -> list[str]:
    return [
        page.spread([each.run.cpu_per_1000 for each in runs], 2),
        page.spread([each.run.database_cpu_per_1000 for each in runs], 2),
        page.spread([each.wal_kb for each in runs], 1),
        page.spread([each.syncs for each in runs], 2),
    ]


def _ideal(runs: list[Found]) -> str:
    return f"{_rate(runs) / (runs[0].workers * THREADS * 1000 / _CALL_MS):.1%}"


def _limits(instant: list[list[Found]], disk: float) -> list[str]:
    """What one PostgreSQL could carry, by each of its limits, if it cost there what the largest fleet cost here."""
    largest, alone = instant[-1], instant[0]
    more = (_cost(largest) - _cost(alone)) / (largest[0].workers - alone[0].workers)
    wal, syncs = median(each.wal_kb for each in largest), median(each.syncs for each in largest)
    rows = [_by_processor(largest[0].workers, _cost(largest))]
    rows += [_by_processor(workers, _cost(alone) + more * (workers - 1)) for workers in _LARGER_FLEETS]
    rows += [
        [f"disk: {disk:,.0f} syncs/s, as measured here", f"{syncs:.2f} syncs", f"{disk / syncs:,.0f}"],
        ["disk: 1,000 syncs/s", f"{syncs:.2f} syncs", f"{1000 / syncs:,.0f}"],
        ["replication: 100 Mbit/s of WAL", f"{wal:.1f} KiB", f"{100_000_000 / 8 / 1024 / wal:,.0f}"],
    ]
    return page.table(("limit of one PostgreSQL", "each engagement takes", "engagements/s"), rows)


def _by_processor(workers: int, cpu_ms: float) -> list[str]:
    name = f"processor: {_EXAMPLE_CORES} cores, {workers} workers"
    return [name, f"{cpu_ms:.2f} ms", f"{_EXAMPLE_CORES * 1000 / cpu_ms:,.0f}"]


def main() -> None:
    """Measure; print the tables, or write them into the documentation."""
    options = page.options(__doc__, rounds=1, measured="fleet", writes="docs/explanation/fleet.md")
    count, calls = (300, 4) if options.quick else (2_000, 20)
    instant: list[list[Found]] = [[] for _ in _FLEETS]
    slow: list[list[Found]] = [[] for _ in _FLEETS]
    with staged() as stage:
        where = page.ground(measure(stage, (), is_quick=True, tell=page.say))
        disk = disk_syncs(stage.folder)
        for number in range(1, options.rounds + 1):
            for place, workers in enumerate(_FLEETS):
                page.say(f"Round {number} of {options.rounds}: {workers} workers ...")
                instant[place].append(measure_fleet(stage, workers, count, 0))
                slow[place].append(measure_fleet(stage, workers, workers * THREADS * calls, _CALL_MS))
    text = section(where, instant, slow, disk)
    if options.write:
        page.write(_PAGE, text)
    else:
        sys.stdout.write(text + "\n")


if __name__ == "__main__":
    try:
        main()
    except BenchFailed as failure:
        sys.exit(f"Error: {failure}")
