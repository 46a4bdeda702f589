"""A worker that dies by SIGKILL at a named step: the crash matrix forks one per cell.

The one rule: the product knows nothing of it. The steps are the product's own signals and transactions, seen from
outside by a listener and by a wrapper around the store.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn, TypeVar

from engagement_core.model.decision import Decision
from engagement_core.model.due import Due
from engagement_core.model.orphan import Orphan
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore
from runners.bootstrap import open_app
from runners.settings import Settings

__all__ = ["ON_THE_WIRE", "STEPS", "execute_doomed"]

T = TypeVar("T")

ON_THE_WIRE = "on_the_wire"
"""Killed from outside, once the provider has seen the request."""

STEPS = (
    "in_transaction_1",  # the claim is decided, not committed
    Signal.ACTIVITY_VALIDATED.value,  # the claim is committed
    Signal.COMMENT_PREPARED.value,
    "in_transaction_2",  # comment: begin; like: verdict, decided and not committed
    Signal.CALL_STARTED.value,  # the intent is committed, nothing is sent
    ON_THE_WIRE,
    Signal.CALL_ENDED.value,  # the answer is known to this process alone
    "in_transaction_3",  # comment: verdict, decided and not committed
    Signal.DATABASE_UPDATED.value,
    Signal.JOB_COMPLETED.value,
)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


@dataclass
class _DyingListener:
    step: str

    def emit(self, signal: Signal, **fields: object) -> None:
        if signal.value == self.step:
            _die()


@dataclass
class _DyingStore:
    """Counts transactions; dies in the n-th, after the decision and before the commit."""

    store: ActivityStore
    step: str
    transactions: int = 0

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        self.transactions += 1
        step = f"in_transaction_{self.transactions}"

        def decide_and_perhaps_die(snapshot: Snapshot) -> Decision[T]:
            decision = decide(snapshot)
            if step == self.step:
                _die()
            return decision

        return self.store.change(activity_id, decide_and_perhaps_die, crediting=crediting)

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        return partial(self.change, activity_id, decide)

    def due(self, **bounds: object) -> tuple[Due, ...]:
        raise NotImplementedError

    def orphans(self, **bounds: object) -> tuple[Orphan, ...]:
        raise NotImplementedError

    def unknowns(self, **bounds: object) -> tuple[str, ...]:
        raise NotImplementedError


def execute_doomed(settings: Settings, activity_id: str, step: str) -> int:
    """Fork a worker that executes one activity and dies at `step` (or finishes, where the step does not come); its
    process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        with open_app(settings, worker_id=f"doomed-{os.getpid()}", telemetry=_DyingListener(step)) as app:
            app.maintenance.beat()
            executor = replace(app.executor, store=_DyingStore(app.executor.store, step))
            executor.execute(activity_id)
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into pytest
        sys.stderr.write(f"doomed worker: {error!r}\n")
    finally:
        os._exit(0)
