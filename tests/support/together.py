"""Makes changes of one store share a transaction, as they do when they are ready at the same time.

The one rule: nothing of it depends on who is faster. One change is kept at work until all the others wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from adapters.postgres.store import group_commit
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.claim import ClaimPolicy, Holder, decide_claim
from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot

__all__ = ["Change", "claim_of", "together"]

Change = tuple[str, Callable[[Snapshot], Decision[Any]]]

_LONG = 30.0
_NOBODY = "00000000-0000-0000-0000-00000000dead"
"""The id of no activity, in tables whose ids are uuid too."""


def together(
    store: PostgresActivityStore, *changes: Change, meanwhile: Callable[[], object] = lambda: None
) -> list[Any]:
    """Make the changes in one group, in this order. What each returned, or the exception that it raised.

    Args:
        store: a store that nobody else uses; its pool has a connection for the group and one more.
        changes: ids and decisions.
        meanwhile: called when all of them wait for their turn.
    """
    with ThreadPoolExecutor(len(changes) + 1) as threads, _at_work(store, threads):
        outcomes = []
        for number, change in enumerate(changes, 1):
            outcomes.append(threads.submit(_outcome, store, change))
            _until_waiting(store, number)
        meanwhile()
    return [outcome.result(_LONG) for outcome in outcomes]


def claim_of(activity_id: str, worker: str = "worker-1", key: str | None = None) -> Change:
    """The claim of one activity. `key` makes its token, where an id cannot."""
    holder = Holder(worker_id=worker, token=f"{worker}/{key or activity_id}")
    return activity_id, partial(decide_claim, holder=holder, policy=ClaimPolicy())


@contextmanager
def _at_work(store: PostgresActivityStore, threads: ThreadPoolExecutor) -> Iterator[None]:
    """A change that lasts as long as the block."""
    has_begun, go_on = threading.Event(), threading.Event()

    def wait(_: Snapshot) -> Decision[None]:
        has_begun.set()
        assert go_on.wait(_LONG)
        return Decision(None)

    with (
        patch.object(group_commit, "_PATIENCE_SECONDS", _LONG),
        patch.object(group_commit, "_PATIENCE_FAR_SECONDS", _LONG),
    ):
        first = threads.submit(store.change, _NOBODY, wait)
        try:
            assert has_begun.wait(_LONG)
            yield
        finally:
            go_on.set()
        first.result(_LONG)
        threads.shutdown()


def _until_waiting(store: PostgresActivityStore, number: int) -> None:
    for _ in range(5000):
        if len(store._together._waiting) == number:
            return
        threading.Event().wait(0.002)
    raise AssertionError("the change does not wait")


def _outcome(store: PostgresActivityStore, change: Change) -> Any:
    try:
        return store.change(*change)
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        return error
