"""The promise when everything happens at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.storm import StormPlan, weather

_SECONDS = float(os.environ.get("STORM_SECONDS", "30"))


@pytest.mark.parametrize("provider", ["sandbox", "second"])
@pytest.mark.servers
@pytest.mark.timeout(300 + 3 * _SECONDS)
def test_a_storm_of_crashes_and_outages_neither_doubles_nor_loses_an_engagement(
    tmp_path: Path, seed: int, provider: str
) -> None:
    """Workers die, servers come and go, the provider lies: every activity ends once, and with a reason.

    The long form: `STORM_SECONDS=600 STORM_ACTIVITIES=20000 pytest tests/chaos`. With `STORM_OTHER=/another/checkout`
    every second worker is of that release.
    """
    plan = StormPlan(
        seed=seed,
        provider=provider,
        activities=int(os.environ.get("STORM_ACTIVITIES", "2000")),
        seconds=_SECONDS,
        other=Path(other) if (other := os.environ.get("STORM_OTHER")) else None,
    )
    log = tmp_path / "workers.log"
    result = weather(plan, log)
    assert result.is_kept, f"{result}\n{log.read_text()[-4000:]}"
    assert result.executed + result.dead_letters == plan.activities
    assert result.executed > plan.activities * 0.9
