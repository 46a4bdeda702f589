"""`engagement bench`, as a new user runs it: its figures must follow from the ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.commands import left_behind

pytestmark = [pytest.mark.embedded, pytest.mark.alone]


def _environment(folder: Path) -> dict[str, str]:
    # A worker that used these would fail: the bench has servers of its own.
    mine = {"DATABASE_URL": "postgresql://127.0.0.1:1/precious", "REDIS_URL": "redis://127.0.0.1:1/0"}
    return {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOME": str(folder), **mine}


def _bench(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "runners", "bench", *arguments],
        env=_environment(folder), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _measured(folder: Path, name: str) -> tuple[dict[str, float], dict[str, Any]]:
    with _bench(folder, "--quick", "--only", name, "--json") as process:
        out, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    told = json.loads(out)
    assert (told["version"], told["quick"]) == (1, True)
    return {figure["name"]: figure["value"] for figure in told["figures"]}, told


def test_the_lateness_that_it_tells_follows_from_the_ledger(tmp_path: Path) -> None:
    """One observation for each activity, and their quantiles. None is early, lost or doubled; nothing is left."""
    figures, told = _measured(tmp_path, "lateness")
    late = told["samples"]["lateness_ms"]
    assert late == sorted(late)
    assert len(late) == 150
    assert (figures["early"], sum(each < 0 for each in late)) == (0, 0)
    assert (figures["lateness_lost"], figures["lateness_duplicates"]) == (0, 0)
    assert abs(figures["lateness_p50"] - late[74]) < 0.01
    assert abs(figures["lateness_p99"] - late[148]) < 0.01
    assert abs(figures["lateness_max"] - late[-1]) < 0.01
    assert left_behind(tmp_path) == []


def test_a_drain_stays_within_its_connections_and_its_memory(tmp_path: Path) -> None:
    """The speed depends on the machine; the connections and the memory do not."""
    figures, told = _measured(tmp_path, "drain")
    assert 1 <= figures["database_connections"] <= 5
    assert 1 <= figures["redis_connections"] <= 2
    assert 20 < figures["peak_rss"] <= 100
    assert told["samples"]["drain_rate"] == [figures["drain_rate"]]
    for name in ("drain_cpu", "drain_database_cpu", "drain_cpu_20_threads", "drain_cpu_comments"):
        assert figures[name] > 0


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Five requests were in flight: each is read back at the provider, and all other activities are executed."""
    figures, _ = _measured(tmp_path, "crash")
    assert figures["crash_in_flight"] == 5
    assert figures["crash_read_back"] == 5
    assert (figures["crash_duplicates"], figures["crash_lost"]) == (0, 0)
    assert 0 < figures["crash_others"] <= figures["crash_settled"]


def test_a_database_far_away_is_measured_too(tmp_path: Path) -> None:
    """Two drains and a lateness; nothing is left, the proxy included."""
    figures, told = _measured(tmp_path, "far")
    assert figures["far_drain_rate"] > 0
    assert figures["far_drain_rate_20_threads"] > 0
    late = told["samples"]["far_lateness_ms"]
    assert (late, len(late)) == (sorted(late), 100)
    assert abs(figures["far_lateness_p50"] - late[49]) < 0.01
    assert left_behind(tmp_path) == []


def test_ctrl_c_ends_the_bench_and_everything_that_it_started(tmp_path: Path) -> None:
    """In the middle of a measurement: no process is left, and no traceback is shown."""
    process = _bench(tmp_path, "--quick", "--only", "lateness")
    assert process.stderr is not None
    for line in process.stderr:
        if "lateness" in line:
            break
    until = time.monotonic() + 30
    while not any(" run " in each for each in left_behind(tmp_path)):
        assert time.monotonic() < until, "no worker was started"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "Traceback" not in errors
    assert left_behind(tmp_path) == []
