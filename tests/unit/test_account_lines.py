"""A line for each account: in the order of time, and one that may not go keeps nobody waiting."""

from __future__ import annotations

import random

from runners.worker.account_lines import AccountLines


def taken(lines: AccountLines, *kept: str) -> list[str]:
    """All activities in the order in which they go, while these accounts may not."""
    found = []
    while (place := lines.first(lambda account_id: account_id not in kept)) is not None:
        found.append(place.activity_id)
        lines.remove(place.activity_id)
    return found


def test_activities_go_in_the_order_of_time_whosever_they_are() -> None:
    """And of two with the same time, the one that came first."""
    lines = AccountLines()
    for key, at, account_id in (("d", 3, "x"), ("a", 1, "y"), ("b", 2, "x"), ("c", 2, None)):
        lines.put(key, at, account_id)
    assert taken(lines) == ["a", "b", "c", "d"]
    assert len(lines) == 0


def test_account_that_may_not_go_is_passed_over_and_keeps_its_place() -> None:
    """However many it has, and however early."""
    lines = AccountLines()
    for number in range(50):
        lines.put(f"x-{number}", 0, "x")
    lines.put("y", 9, "y")
    assert taken(lines, "x") == ["y"]
    assert taken(lines) == [f"x-{number}" for number in range(50)]


def test_activity_that_moves_stands_in_one_line() -> None:
    """To another time, or to another account."""
    lines = AccountLines()
    lines.put("a", 5, None)
    lines.put("b", 4, None)
    lines.put("a", 5, "x")
    lines.put("a", 1, "x")
    assert (len(lines), lines.size(None), lines.size("x")) == (2, 1, 1)
    assert set(lines.accounts()) == {None, "x"}
    assert taken(lines) == ["a", "b"]


def test_largest_line_and_its_latest_activity_are_known() -> None:
    """That is who gives way."""
    lines = AccountLines()
    for key, at, account_id in (("a", 1, "x"), ("b", 3, "x"), ("c", 2, "x"), ("d", 9, "y")):
        lines.put(key, at, account_id)
    assert lines.largest() == "x"
    assert lines.latest("x").activity_id == "b"


def test_places_that_were_left_take_no_room_for_long() -> None:
    """The last of a line that does not move may be replaced for hours."""
    lines = AccountLines()
    lines.put("first", 0, "x")
    for number in range(1_000):
        lines.put(f"{number}", 1, "x")
        lines.remove(f"{number}")
    assert len(lines._lines["x"]) < 50


def test_any_sequence_of_changes_keeps_the_order(seed: int) -> None:
    """Compared with a sorted list."""
    dice, lines, model = random.Random(seed), AccountLines(), {}  # noqa: S311 - repeatable on purpose
    for number in range(5_000):
        key, account_id = f"{dice.randrange(60)}", dice.choice([None, "x", "y", "z"])
        if dice.random() < 0.6:
            model[key] = (dice.randrange(20), number, account_id)
            lines.put(key, model[key][0], account_id)
        elif dice.random() < 0.5:
            model.pop(key, None)
            lines.remove(key)
        else:
            kept = dice.choice([None, "x", "y", "z"])
            place = lines.first(lambda each, kept=kept: each != kept)  # type: ignore[misc]
            best = min((value for value in model.values() if value[2] != kept), default=None)
            assert (None if place is None else model[place.activity_id]) == best
    assert len(lines) == len(model)
