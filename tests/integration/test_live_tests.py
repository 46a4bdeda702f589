"""The live tests themselves: skipped with a reason where nothing is named, and passed by the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.unipile.sandbox import Sandbox, read_faults

ROOT = Path(__file__).parents[2]


def run_live_tests(**variables: str) -> str:
    """What pytest says of them in a process of its own, with no other variables than these."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIVE_")}
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/live"],
        env=environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    return told.stdout


@pytest.mark.parametrize("in_ci", [False, True])
def test_nobody_who_names_no_account_meets_the_provider(in_ci: bool) -> None:
    """Not in CI either: they are for whoever asks for them, and say what is missing."""
    told = run_live_tests(LIVE_UNIPILE_API_KEY="key", **({"CI": "1"} if in_ci else {}))
    assert "4 skipped" in told
    assert "LIVE_UNIPILE_DSN, LIVE_UNIPILE_ACCOUNT_ID, LIVE_UNIPILE_POST_ID not set" in told
    assert "passed" not in told


def test_the_sandbox_passes_them() -> None:
    """What they ask of the provider, the sandbox answers; one like sent twice and one comment are all they leave."""
    with Sandbox(faults=read_faults(ROOT / "tests/live/sandbox.json")) as sandbox:
        told = run_live_tests(
            LIVE_UNIPILE_DSN=sandbox.url,
            LIVE_UNIPILE_API_KEY="any",
            LIVE_UNIPILE_ACCOUNT_ID="acc-1",
            LIVE_UNIPILE_POST_ID="urn:li:activity:2",
        )
        effects = [(each["engagement_type"], each["post_id"]) for each in sandbox.ledger()["effects"]]
    assert "4 passed" in told
    assert sorted(effects) == [("comment", "urn:li:activity:2")] + [("like", "urn:li:activity:2")] * 2
