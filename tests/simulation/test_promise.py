"""The promise, in thousands of small worlds and a few long days.

`SIMULATION_SEEDS=100000 pytest tests/simulation` runs longer; `SIMULATION_SEED=1298 pytest tests/simulation -k one`
replays one world and prints what happened in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulation.known_limits import KNOWN_LIMITS
from simulation.promise import PromiseBroken
from simulation.world import DAY, SMALL, Size, broken, create, run

_SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000"))
_STORY = 300


@pytest.mark.timeout(60 + _SEEDS / 10)
def test_no_world_breaks_the_promise(seed: int) -> None:
    """Each run has new worlds: crashes, stops, outages, a provider that lies, people who change rows."""
    for number in range(_SEEDS):
        world = seed * 1_000_003 + number
        error = broken(world)
        assert error is None, _story(world)


def test_one_world(seed: int) -> None:
    """The world of `SIMULATION_SEED`, or any world; if it breaks the promise, its trace is shown."""
    chosen = os.environ.get("SIMULATION_SEED")
    world = create(int(chosen or seed))
    try:
        world.run()
    except PromiseBroken as error:
        if chosen or error.rule not in KNOWN_LIMITS:
            pytest.fail(f"{error}\n{world.as_text()}", pytrace=False)


def _story(seed: int, size: Size = SMALL) -> str:
    """The end of what happened in a world that broke the promise, and how to see the rest."""
    world = create(seed, size)
    with pytest.raises(PromiseBroken) as broke:
        world.run()
    end = world.as_text().splitlines()[-_STORY:]
    return "\n".join(
        (
            f"{broke.value}",
            f"{world.temper}, reads back: {world.provider.reads_back}, visibility lag: {world.visibility_lag}",
            *end,
            f"To see all of it: SIMULATION_SEED={seed} pytest tests/simulation -k one",
        )
    )


def test_a_seed_replays_exactly() -> None:
    """The same seed, the same trace, to the last line."""
    for number in range(20):
        assert run(number).digest() == run(number).digest()


def test_a_seed_replays_in_another_process() -> None:
    """The hashes of its strings do not matter: a failure on one machine can be replayed on another."""
    script = "import sys; from simulation.world import run; print(run(int(sys.argv[1])).digest())"
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join((str(tests), str(tests.parent)))
    digests = {run(7).digest()}
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
        command = [sys.executable, "-c", script, "7"]
        digests.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip())
    assert len(digests) == 1


def test_different_seeds_tell_different_stories() -> None:
    """A replay that was always the same would prove nothing."""
    assert len({run(number).digest() for number in range(3)}) == 3


def test_days_of_twenty_accounts(seed: int) -> None:
    """Longer and larger worlds; how long one takes is printed."""
    started = time.perf_counter()
    for number in range(3):
        error = broken(seed + number, DAY)
        assert error is None, _story(seed + number, DAY)
    print(f"a simulated day of 20 accounts: {(time.perf_counter() - started) / 3:.2f} s")  # noqa: T201
