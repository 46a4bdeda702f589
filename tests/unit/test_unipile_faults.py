"""How the sandbox is told to misbehave: which rule fires, and that a wrong one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.unipile.sandbox.faults import Ending, Fault, FaultPlan, read_faults
from adapters.unipile.sandbox.messages import Read, Write

LIKE = Write(dialect="v1", engagement_type="like", account="a1", post_id="p1", text=None)
COMMENT = Write(dialect="v1", engagement_type="comment", account="a2", post_id="chaos-7", text="x")
COMMENTS = Read(about="comments", account="a1", post_id="p1")
REACTIONS = Read(about="reactions", account="a1", post_id="p1")
ME = Read(about="me", account="a1")


def fired(plan: FaultPlan, *wanted: Write | Read) -> list[bool]:
    """For which of these the plan has a fault."""
    return [plan.fault_for(one) != Fault() for one in wanted]


def rule(**match: Any) -> list[dict[str, Any]]:
    """A document with one rule."""
    return [{"match": match, "action": "drop_before"}]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [True, True, False, False, False]),
        ({"engagement_type": "like"}, [True, False, False, False, False]),
        ({"account": "a2"}, [False, True, False, False, False]),
        ({"post_id": "p1"}, [True, False, False, False, False]),
        ({"post_id": "p"}, [False, False, False, False, False]),
        ({"post_id": "cha*"}, [False, True, False, False, False]),
        ({"request": "read"}, [False, False, True, True, True]),
        ({"request": "any", "engagement_type": "comment"}, [False, True, True, False, False]),
        ({"request": "any"}, [True, True, True, True, True]),
    ],
)
def test_rule_fires_for_what_it_matches(match: dict[str, Any], expected: list[bool]) -> None:
    """Every given field must fit; without `request`, only engagements are meant."""
    assert fired(FaultPlan(rule(**match)), LIKE, COMMENT, COMMENTS, REACTIONS, ME) == expected


def test_nth_counts_matching_requests_and_times_limits_firing() -> None:
    """The second like, once; the first two comments."""
    assert fired(FaultPlan(rule(nth=2, engagement_type="like")), LIKE, COMMENT, LIKE, LIKE) == [
        False,
        False,
        True,
        False,
    ]
    assert fired(FaultPlan(rule(times=2)), LIKE, LIKE, LIKE) == [True, True, False]


def test_probability_repeats_with_its_seed() -> None:
    """The same seed is the same chaos; another seed is another."""
    runs = [fired(FaultPlan(rule(probability=0.5, seed=seed)), *[LIKE] * 200) for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]
    assert 60 < sum(runs[0]) < 140
    assert not any(fired(FaultPlan(rule(probability=0)), *[LIKE] * 20))
    assert all(fired(FaultPlan(rule(probability=1)), *[LIKE] * 20))


def test_latencies_add_up_until_a_rule_decides() -> None:
    """The first other action that fires ends the search."""
    plan = FaultPlan(
        [
            {"action": "latency", "ms": 100},
            {"match": {"engagement_type": "like"}, "action": "hang", "seconds": 3},
            {"action": "latency", "ms": 250},
        ]
    )
    assert plan.fault_for(LIKE) == Fault(delay=0.1, applies=False, ending=Ending.HANG, hang_for=3)
    assert plan.fault_for(COMMENT) == Fault(delay=0.35)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([{"action": "explode"}], "rule 0: action: must be one of latency"),
        ([{}], "rule 0: action"),
        ([{"action": ["drop_before"]}], "rule 0: action"),
        ([{"action": "drop_before"}, {"action": "latency"}], r"rule 1: ms: Missing"),
        ([{"action": "latency", "ms": "slow"}], "rule 0: ms"),
        ([{"action": "latency", "ms": -1}], "rule 0: ms"),
        ([{"action": "status", "status": 42}], "rule 0: status"),
        ([{"action": "drip", "bytes_per_second": 0}], "rule 0: bytes_per_second"),
        ([{"action": "drop_before", "ms": 5}], "rule 0: ms: Unknown"),
        ([{"action": "drop_before", "match": {"engagment_type": "like"}}], r"rule 0: match\.engagment_type: Unknown"),
        ([{"action": "drop_before", "match": {"nth": 0}}], r"rule 0: match\.nth"),
        ([{"action": "drop_before", "match": {"probability": 2}}], r"rule 0: match\.probability"),
        ([{"action": "status", "status": 400, "headers": {"A": 1}}], r"rule 0: headers\.A"),
        (["drop_before"], r"rules\.0"),
        ("drop_before", "rules"),
        ({"rulez": []}, "rulez: Unknown"),
        ({"page_size": 0}, "page_size"),
    ],
)
def test_wrong_document_names_the_rule_and_the_field(document: object, problem: str) -> None:
    """A fault that silently does not fire would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match=problem):
        FaultPlan(document)


def test_fault_file_is_read_and_checked(tmp_path: Path) -> None:
    """Good, wrong, no JSON, no file."""
    path = tmp_path / "faults.json"
    path.write_text(json.dumps(rule(nth=1)))
    assert read_faults(path) == rule(nth=1)
    for text, problem in (('[{"action": "explode"}]', "rule 0"), ("{", "faults.json")):
        path.write_text(text)
        with pytest.raises(ValueError, match=problem):
            read_faults(path)
    with pytest.raises(ValueError, match="missing"):
        read_faults(tmp_path / "missing.json")
