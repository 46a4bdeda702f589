"""The demo's plan: a few pods engage with a few posts over the next seconds, against the sandbox.

The one rule: nothing is faked except the provider. The worker, the servers and HTTP are real. The ledger of the
simulated provider decides whether the result is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.postgres.demo.samples import SAMPLE_PODS
from engagement_core.model.activity import EngagementType
from engagement_core.model.new_activity import NewActivity

__all__ = ["FAULTS", "GONE", "Report", "report", "scenario"]

_COMMENTS = ("Great post!", "Thanks for sharing this.", "This matches what we see.", "A very clear summary.")
_POSTS = tuple(f"urn:li:activity:70000000000000{number:05d}" for number in range(10))
GONE = "urn:li:activity:7000000000000099999"
"""A post that its author has deleted: the one engagement that must fail."""

FAULTS: list[dict[str, Any]] = [
    {"match": {}, "action": "latency", "ms": 120},
    {
        "match": {"post_id": GONE},
        "action": "status",
        "status": 404,
        "body": {
            "title": "Post not found",
            "type": "errors/resource_not_found",
            "status": 404,
            "detail": "Its author has deleted it.",
        },
    },
    {
        "match": {"post_id": _POSTS[4], "engagement_type": "comment", "times": 1},
        "action": "status",
        "status": 503,
        "body": {"title": "No client session", "type": "errors/no_client_session", "status": 503},
    },
    {"match": {"post_id": _POSTS[7], "engagement_type": "like", "times": 1}, "action": "apply_then_drop"},
]
"""A refusal that a retry cures, an answer that is lost after the like was applied, and a deleted post."""


def scenario(now: datetime, *, engagements: int = 30, spread: timedelta = timedelta(seconds=8)) -> list[NewActivity]:
    """Comments and likes in turn, evenly over `spread` from 2 s after `now`, and the one that must fail."""
    first = now + timedelta(seconds=2)
    planned = [
        _engagement(f"demo-{number + 1:02d}", number, first + spread * number / max(engagements - 1, 1))
        for number in range(engagements)
    ]
    return [*planned, _like("demo-gone", SAMPLE_PODS[0], GONE, first + spread / 2)]


def _engagement(activity_id: str, number: int, at: datetime) -> NewActivity:
    pod, post = SAMPLE_PODS[number % len(SAMPLE_PODS)], _POSTS[number % len(_POSTS)]
    if number % 2:
        return _like(activity_id, pod, post, at)
    return NewActivity(
        id=activity_id,
        pod_id=pod,
        engagement_type=EngagementType.COMMENT,
        post_id=post,
        profile_id=None,
        comment_text=_COMMENTS[number // 2 % len(_COMMENTS)],
        scheduled_for=at,
    )


def _like(activity_id: str, pod: str, post: str, at: datetime) -> NewActivity:
    return NewActivity(
        id=activity_id,
        pod_id=pod,
        engagement_type=EngagementType.LIKE,
        post_id=post,
        profile_id=None,
        comment_text=None,
        scheduled_for=at,
    )


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the ledger and the outcomes say. `lateness_ms`, per engagement: from its time to its first call."""

    executed: int
    failed: int
    in_ledger: int
    duplicates: int
    missing: int
    lateness_ms: tuple[float, ...]

    @property
    def is_good(self) -> bool:
        """Every engagement that should succeed is in the ledger exactly once; the other one is a dead letter."""
        return self.missing == 0 and self.duplicates == 0 and self.failed == 1

    def lateness(self, quantile: float) -> float:
        """The lateness in ms that this share (0 to 1) of the engagements does not exceed; 0 if there are none."""
        ordered = sorted(self.lateness_ms)
        return ordered[min(int(len(ordered) * quantile), len(ordered) - 1)] if ordered else 0.0


def report(
    planned: list[NewActivity],
    outcomes: Mapping[str, str],
    called_at: Mapping[str, datetime],
    ledger: Mapping[str, Any],
) -> Report:
    """Compare the plan with the outcomes and with the provider's ledger."""
    effects: Counter[tuple[str, str, str]] = Counter()
    for effect in ledger["effects"]:
        effects[effect["engagement_type"], effect["post_id"], effect["account"]] += 1
    expected = {_planned_key(each) for each in planned if each.post_id != GONE}
    return Report(
        executed=sum(outcome == "executed" for outcome in outcomes.values()),
        failed=sum(outcome == "failed" for outcome in outcomes.values()),
        in_ledger=sum(effects.values()),
        duplicates=sum(count - 1 for count in effects.values()),
        missing=sum(key not in effects for key in expected),
        lateness_ms=tuple(
            (called_at[each.id] - each.scheduled_for) / timedelta(milliseconds=1)
            for each in planned
            if each.id in called_at
        ),
    )


_ACCOUNT_OF_POD = {"pod-growth": "unipile-ana", "pod-design": "unipile-ben", "pod-engineering": "unipile-cleo"}


def _planned_key(each: NewActivity) -> tuple[str, str, str]:
    return each.engagement_type.value, each.post_id, _ACCOUNT_OF_POD[each.pod_id]
