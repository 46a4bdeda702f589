"""The example of an embedded executor does what it says, also when its process dies at the worst moment."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_EXAMPLE = _ROOT / "examples" / "newsroom"

# A process that dies once the provider has applied (or before it has), then one that comes after it. The provider is a
# file, because it outlives both.
_SERVICE = r"""
import os, sys
from datetime import datetime, timezone
from engagement_core import EngagementType
from newsroom import ACCOUNT, POD, Desk, FunctionGateway
from sqlite_store import SqliteActivityStore

folder, worker_id, kind, dies = sys.argv[1:]

def engage(post, text):
    if dies == "before":
        os._exit(9)
    with open(folder + "/ledger", "a") as ledger:
        ledger.write(f"{post}\t{text or ''}\n")
    if dies == "after":
        os._exit(9)
    return "e-1"

def look(post):
    if not os.path.exists(folder + "/ledger"):
        return []
    with open(folder + "/ledger") as ledger:
        rows = [line.rstrip("\n").split("\t") for line in ledger]
    return [(f"e-{at}", text or None) for at, (where, text) in enumerate(rows, 1) if where == post]

store = SqliteActivityStore(folder + "/db", pod=POD, account=ACCOUNT, worker_id=worker_id)
text = "Hello!" if kind == "comment" else None
store.schedule("a", EngagementType(kind), "post", datetime.now(timezone.utc), text)
Desk.open(store, FunctionGateway(engage, look), worker_id).work_until(lambda: store.status("a") == "executed")
"""


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(_ROOT), str(_EXAMPLE)])
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_example_executes_each_engagement_once() -> None:
    """Although the first answer is lost: it is looked up."""
    done = _python(str(_EXAMPLE / "newsroom.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "effect=unknown" in done.stdout
    assert re.search("^outcome_reconciled activity_id=comment-1 .*verdict=executed", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("kind", ["like", "comment"])
@pytest.mark.parametrize("dies", ["before", "after"])
def test_the_example_survives_its_own_death(tmp_path: Path, kind: str, dies: str) -> None:
    """Whoever comes next learns what became of it, and sends it only if it did not happen."""
    assert _python("-c", _SERVICE, str(tmp_path), "desk-1", kind, dies).returncode == 9
    done = _python("-c", _SERVICE, str(tmp_path), "desk-2", kind, "never")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "ledger").read_text().splitlines()) == 1


def test_the_example_s_store_lets_no_second_attempt_exist_beside_one_that_may_have_had_an_effect(
    tmp_path: Path,
) -> None:
    """Whatever else writes to the file."""
    _python("-c", _SERVICE, str(tmp_path), "desk-1", "like", "after")
    connection = sqlite3.connect(tmp_path / "db")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO attempts VALUES ('a', 2, 'unknown', '{}')")
    connection.close()
