"""The order of the checks, what each needs, and its time limit. Their findings are tested on real servers."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.postgres.inspection.unique_ids import IdFacts
from adapters.postgres.schema.diagnostics import Capacity, DatabaseFacts
from runners.doctor import CHECKS, Check, Context, Finding, Level, examine
from runners.doctor.database import check_connections, check_encryption
from runners.doctor.finding import failed, fine, warned
from runners.settings import Settings

_FACTS = DatabaseFacts(
    version="16.4",
    is_local=False,
    is_encrypted=True,
    is_read_only=False,
    is_pooled=False,
    schema_lacks=(),
    schema_refuses=(),
    ids=IdFacts(),
    triggers=(),
    missing_grants=(),
    rows_hidden=(),
    row_security=(),
    capacity=Capacity(limit=100, limited_by="max_connections", others=10),
    replicas=0,
    synchronous_standby_names="",
    clock_ahead=timedelta(0),
    clock_known_to=timedelta(0),
    accounts=(),
)


def _patient(**changes: object) -> Context:
    context = Context(stack=ExitStack(), settings=Settings(unipile_api_key="a-key-of-some-length"))
    context.seen_database = replace(_FACTS, **changes)  # type: ignore[arg-type]
    return context


def _check(name: str, *found: Finding, needs: tuple[str, ...] = ()) -> Check:
    return Check(name=name, run=lambda _: found, needs=needs)


def test_what_failed_is_not_built_upon() -> None:
    """A check that needs a failed or skipped check is skipped. All others run, and a warning stops nothing."""
    checks = (
        _check("a", failed("a", "Broken.", "Mend it.")),
        _check("b", fine("b", "Well."), needs=("a",)),
        _check("c", fine("c", "Well."), needs=("b",)),
        _check("d", warned("d", "Odd.", "Look.")),
        _check("e", fine("e", "Well."), needs=("d",)),
    )
    found = {each.name: (each.level, each.says) for each in examine(_patient(), checks)}
    assert found["b"] == (Level.SKIPPED, "not checked: a failed")
    assert found["c"] == (Level.SKIPPED, "not checked: b was not checked")
    assert found["e"] == (Level.OK, "Well.")


def test_a_check_that_hangs_is_left_alone() -> None:
    """After its time limit; the other checks run."""
    never = threading.Event()
    hangs = Check(name="a", run=lambda _: (never.wait(60), ())[1], within=timedelta(milliseconds=20))
    found = list(examine(_patient(), (hangs, _check("b", fine("b", "Well.")))))
    never.set()
    assert [each.level for each in found] == [Level.FAILED, Level.OK]
    assert "within 0.02 s" in found[0].says
    assert found[0].cure


def test_a_defect_of_a_check_is_a_finding() -> None:
    """It hides no other finding."""

    def breaks(_: Context) -> tuple[Finding, ...]:
        raise ZeroDivisionError("oh")

    found = list(examine(_patient(), (Check(name="a", run=breaks), _check("b", fine("b", "Well.")))))
    assert [each.level for each in found] == [Level.FAILED, Level.OK]
    assert "ZeroDivisionError" in found[0].says


def test_a_secret_in_a_message_is_hidden() -> None:
    """In case a check ever repeats one."""
    (found,) = examine(_patient(), (_check("a", failed("a", "a-key-of-some-length!", "Mend it.")),))
    assert found.says == "***!"


def test_every_check_needs_only_what_comes_before_it() -> None:
    """Otherwise it would never be skipped. A need that is no check is a variable: the configuration reports it."""
    seen: set[str] = set()
    for check in CHECKS:
        names = [name for name in check.needs if name not in seen]
        assert all(name.isupper() for name in names), names
        seen.add(check.name)
    assert len(seen) == len(CHECKS)


@pytest.mark.parametrize(
    ("changes", "level"),
    [({}, Level.OK), ({"is_encrypted": False, "is_local": True}, Level.OK), ({"is_encrypted": False}, Level.WARNING)],
)
def test_a_connection_in_the_clear_is_warned_of(changes: dict[str, bool], level: Level) -> None:
    """Unless it stays on this machine."""
    (found,) = check_encryption(_patient(**changes))
    assert found.level is level


@pytest.mark.parametrize(
    ("others", "is_pooled", "level"), [(95, False, Level.OK), (96, False, Level.FAILED), (96, True, Level.OK)]
)
def test_a_worker_needs_a_connection_for_each_thread(others: int, is_pooled: bool, level: Level) -> None:
    """A pooler counts its connections itself."""
    capacity = Capacity(limit=100, limited_by="max_connections", others=others)
    (found,) = check_connections(_patient(capacity=capacity, is_pooled=is_pooled))
    assert found.level is level
