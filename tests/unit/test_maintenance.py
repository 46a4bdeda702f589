"""A heartbeat wakes the tasks for which it has found something to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engagement_core.model.chore import Chore
from engagement_core.model.job import Unreadable
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.use_cases.adopt_orphans import OrphanPolicy
from fakes.activities import InMemoryActivityStore
from fakes.alerts import InMemoryAlertOutbox
from fakes.workers import InMemoryWorkerRegistry
from runners.worker.maintenance import Maintenance
from support.builders import NOW


def a_maintenance(found: frozenset[Chore] | Exception) -> Maintenance:
    """One whose heartbeats find this."""

    def look() -> frozenset[Chore]:
        if isinstance(found, Exception):
            raise found
        return found

    nothing: Any = SimpleNamespace(run_once=None, check_breaker=None, read_timeout=OrphanPolicy().margin)
    return Maintenance(
        worker_id="worker-1",
        concurrency=1,
        store=InMemoryActivityStore(now=lambda: NOW),
        registry=InMemoryWorkerRegistry(lambda: NOW, look=look),
        pending=nothing,
        reconciler=nothing,
        outbox=InMemoryAlertOutbox(InMemoryActivityStore(now=lambda: NOW)),
        watch=nothing,
        delivery=nothing,
        care=nothing,
        retention=nothing,
        telemetry=nothing,
        orphans=OrphanPolicy(),
    )


def woken(maintenance: Maintenance) -> set[str]:
    """The tasks that would run now."""
    return {task.name for task in maintenance.tasks() if task.wake.is_set()}


def heartbeat(maintenance: Maintenance) -> None:
    """One turn of its task."""
    next(task for task in maintenance.tasks() if task.name == "beat").do()


@pytest.mark.parametrize(
    ("found", "tasks"),
    [
        (frozenset(), set()),
        ({Chore.ORPHANS}, {"rescue"}),
        ({Chore.UNKNOWNS, Chore.ALERTS}, {"settle", "alerts"}),
        ({Chore.ACCOUNTS}, {"health"}),
    ],
)
def test_a_heartbeat_wakes_the_tasks_of_what_it_has_found(found: frozenset[Chore], tasks: set[str]) -> None:
    """And no other."""
    maintenance = a_maintenance(found)
    heartbeat(maintenance)
    assert woken(maintenance) == tasks


def test_a_heartbeat_that_fails_wakes_all() -> None:
    """Nobody knows what there is to do, so each task looks by itself."""
    maintenance = a_maintenance(StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        heartbeat(maintenance)
    assert woken(maintenance) == {"rescue", "settle", "health", "alerts"}


def test_an_alert_of_this_worker_is_delivered_without_waiting_for_a_heartbeat() -> None:
    """It knows that there is one."""
    maintenance = a_maintenance(frozenset())
    maintenance.report_unreadable(Unreadable(receipt="r", reason="it is no JSON", raw=""))
    assert woken(maintenance) == {"alerts"}
