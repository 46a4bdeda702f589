"""Every place in which an activity can be, as `engagement explain` shows it: `python -m golden.explanations` in tests/.

The one rule: the places are not drawn, they are reached. What the provider's answers and a person's decisions lead to
is what the product's own decisions make of them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.decisions.bury import bury
from engagement_core.decisions.claim import ClaimPolicy, decide_claim
from engagement_core.decisions.explain import explain
from engagement_core.decisions.judge_read_back import ReconcilePolicy, decide_reconcile
from engagement_core.decisions.release import release
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.activity import Malformed
from engagement_core.model.controls import BlockScope, Control, ControlKind, SlowStart
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    SaveAttempt,
    Write,
)
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.provider import Answer, Applied, Found, NoReadBack, Seen
from engagement_core.model.snapshot import Snapshot
from runners.cli.views.explanation import as_json, as_screen
from support.builders import DAY, ME, NOW, SECOND, a_comment, a_like, a_snapshot, an_account, an_attempt, earlier

__all__ = ["FOLDER", "POLICY", "Place", "page", "places"]

FOLDER = Path(__file__).parent / "explain"
POLICY = ClaimPolicy(max_lateness=timedelta(hours=1))
_ANSWERS: dict[Cause, Failure] = {
    Cause.NOT_SENT: Failure(cause=Cause.NOT_SENT, message="Could not connect to api1.unipile.com:13111."),
    Cause.RATE_LIMITED: Failure(
        cause=Cause.RATE_LIMITED,
        message="The provider answered 429: errors/limit_exceeded: Too many requests",
        retry_after=timedelta(seconds=60),
        provider_status=429,
        provider_type="errors/limit_exceeded",
    ),
}
"""In the provider's words; for the others a sentence is made up."""
_WITHOUT_CALL = frozenset({Cause.INVALID_ACTIVITY, Cause.TOO_LATE, Cause.QUARANTINED})
_NEVER_ANSWERED = frozenset({Cause.WORKER_LOST, Cause.OUTCOME_UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class Place:
    """One activity in one state. `name` is the name of its golden file; `cause` is the cause that led there, if any."""

    name: str
    snapshot: Snapshot
    letter: DeadLetter | None = None
    cause: Cause | None = None


def page(place: Place) -> str:
    """Both forms, as the command prints them; an empty screen line is one without blanks."""
    found = explain(place.snapshot, place.letter, POLICY)
    screen = Console(file=io.StringIO(), width=1_000, highlight=False, markup=False, emoji=False)
    screen.print(as_screen("activity-1", found, place.snapshot))
    assert isinstance(screen.file, io.StringIO)
    lines = [line.rstrip() for line in screen.file.getvalue().splitlines()]
    return "\n".join(lines) + "\n" + json.dumps(as_json("activity-1", found, place.snapshot), indent=2) + "\n"


def places() -> Iterator[Place]:
    """All places."""
    yield from _waiting()
    yield from _blocked()
    yield from _doomed()
    yield from _in_flight()
    yield from _answered()
    yield from _buried()
    yield from _executed()
    yield from _strange()


def _waiting() -> Iterator[Place]:
    yield Place(name="scheduled-later", snapshot=a_snapshot(a_like(scheduled_for=NOW + DAY)))
    yield Place(name="scheduled-due", snapshot=a_snapshot())
    yield Place(name="scheduled-comment-due", snapshot=a_snapshot(a_comment()))


def _blocked() -> Iterator[Place]:
    scopes = {BlockScope.ALL: "", BlockScope.POD: "pod-1", BlockScope.ACCOUNT: "account-1"}
    for kind in ControlKind:
        until = NOW + 60 * SECOND if kind in (ControlKind.COOL_DOWN, ControlKind.CAP) else None
        for scope, scope_id in scopes.items():
            control = Control(
                kind=kind, scope=scope, scope_id=scope_id, until=until, reason=f"because of a {kind.value}"
            )
            yield Place(name=f"waits-{kind.value}-{scope.value}", snapshot=a_snapshot(controls=(control,)))
    for word in sorted(HELD_STATUSES):
        yield Place(name=f"waits-status-{word}", snapshot=a_snapshot(account=an_account(status=word)))
    yield Place(
        name="waits-daily-limit", snapshot=a_snapshot(account=an_account(daily_limit=100), sent_in_last_day=100)
    )
    slow_start = SlowStart(released_at=NOW - SECOND, last_began_at=NOW - SECOND, spacing=30 * SECOND)
    yield Place(name="waits-pace", snapshot=a_snapshot(slow_start=slow_start))


def _doomed() -> Iterator[Place]:
    wrong: dict[str, dict[str, Any]] = {
        "post-empty": {"activity": a_like(post_id=" ")},
        "post-too-long": {"activity": a_like(post_id="x" * 501)},
        "comment-empty": {"activity": replace(a_comment(), comment_text=" ")},
        "comment-too-long": {"activity": replace(a_comment(), comment_text="x" * 1251)},
        "no-pod": {"pod": None, "account": None},
        "no-account-of-profile": {"account": None},
        "no-account-of-pod": {"activity": a_like(profile_id=None), "account": None},
        "unreadable": {"activity": Malformed(id="activity-1", status="scheduled", problems=("post_id is missing",))},
    }
    for name, changes in wrong.items():
        snapshot = replace(a_snapshot(), **changes)
        yield Place(name=f"doomed-{name}", snapshot=snapshot, cause=Cause.INVALID_ACTIVITY)
    late = a_snapshot(a_like(scheduled_for=NOW - 2 * timedelta(hours=1)))
    yield Place(name="doomed-too-late", snapshot=late, cause=Cause.TOO_LATE)
    crashes = tuple(earlier(number, event=Event.RELEASE, crashed=True) for number in range(1, 6))
    yield Place(name="doomed-quarantined", snapshot=a_snapshot(attempts=crashes), cause=Cause.QUARANTINED)


def _in_flight() -> Iterator[Place]:
    claimed = an_attempt(Phase.CLAIMED, text="Well said.")
    yield Place(name="claimed", snapshot=a_snapshot(a_comment(), attempts=(claimed,)))
    yield Place(name="sending", snapshot=a_snapshot(attempts=(an_attempt(),)))
    lost = an_attempt(Phase.UNKNOWN, look_at=NOW + 30 * SECOND)
    yield Place(name="unknown-worker-lost", snapshot=a_snapshot(attempts=(lost,)), cause=Cause.WORKER_LOST)
    given_back = _after(a_snapshot(attempts=(an_attempt(Phase.CLAIMED),)), release, an_attempt(Phase.CLAIMED))
    yield Place(name="released", snapshot=given_back.snapshot)


def _answered() -> Iterator[Place]:
    """What the first answer, and the third refusal, make of a like."""
    for cause in Cause:
        if cause in _WITHOUT_CALL | _NEVER_ANSWERED:
            continue
        told = _failure(cause)
        first = _told(a_snapshot(attempts=(an_attempt(),)), told)
        yield replace(first, name=f"answered-{cause.value}", cause=cause)
        if told.meaning.retryable:
            before = (earlier(1), earlier(2), an_attempt(number=3))
            last = _told(a_snapshot(a_like(failure_count=2), attempts=before), told)
            yield replace(last, name=f"given-up-{cause.value}", cause=cause)


def _buried() -> Iterator[Place]:
    """A letter for each cause; causes without a call are buried by the claim."""
    for cause in Cause:
        called = () if cause in _WITHOUT_CALL else (an_attempt(Phase.FAILED, error=_record(cause)),)
        snapshot = a_snapshot(attempts=called)
        buried = bury(snapshot, "activity-1", _failure(cause), counts=bool(called), account_id="account-1")
        yield replace(_applied(snapshot, buried.writes), name=f"letter-{cause.value}", cause=cause)
    late = a_snapshot(a_like(scheduled_for=NOW - 2 * timedelta(hours=1)))
    claim = decide_claim(late, holder=ME, policy=POLICY)
    yield replace(_applied(late, claim.writes), name="letter-as-claimed-too-late", cause=Cause.TOO_LATE)
    comment = an_attempt(Phase.UNKNOWN, text="Well said.", deadline_at=NOW - SECOND)
    asked = a_snapshot(a_comment(), attempts=(comment,))
    decided = decide_reconcile(asked, token=ME.token, seen=NoReadBack(), read_at=NOW, policy=ReconcilePolicy())
    yield replace(_applied(asked, decided.writes), name="letter-v0-comment", cause=Cause.OUTCOME_UNKNOWN)
    yield Place(name="failed-without-letter", snapshot=a_snapshot(a_like(status="failed")))


def _executed() -> Iterator[Place]:
    sending = a_snapshot(a_comment(), attempts=(an_attempt(text="Well said."),))
    yield replace(_told(sending, Applied(engagement_id="7300000001", created_at=NOW)), name="executed-response")
    lost = a_snapshot(attempts=(an_attempt(Phase.UNKNOWN, error=_record(Cause.NO_ANSWER)),))
    seen = Seen(own=(Found(engagement_id=None, text=None, created_at=None),))
    found = decide_reconcile(lost, token=ME.token, seen=seen, read_at=NOW, policy=ReconcilePolicy())
    yield replace(_applied(lost, found.writes), name="executed-reconciled")
    resolved = an_attempt(Phase.FAILED, effect=Effect.UNKNOWN, error=_record(Cause.OUTCOME_UNKNOWN))
    resolved = resolved.after(Event.RESOLVE_EXECUTED, effect=Effect.APPLIED)
    yield Place(name="executed-person", snapshot=a_snapshot(a_like(status="executed"), attempts=(resolved,)))
    yield Place(name="executed-elsewhere", snapshot=a_snapshot(a_like(status="executed")))
    absent = replace(lost, now=NOW + DAY / 24)
    none = decide_reconcile(absent, token=ME.token, seen=Seen(own=()), read_at=absent.now, policy=ReconcilePolicy())
    yield replace(_applied(absent, none.writes), name="scheduled-found-absent")
    again = replace(absent, attempts=(replace(lost.attempts[0], deadline_at=NOW),))
    like = decide_reconcile(again, token=ME.token, seen=NoReadBack(), read_at=again.now, policy=ReconcilePolicy())
    yield replace(_applied(again, like.writes), name="scheduled-repeat-v0-like")


def _strange() -> Iterator[Place]:
    left = an_attempt(Phase.FAILED, effect=Effect.UNKNOWN)
    yield Place(name="scheduled-but-left-over", snapshot=a_snapshot(attempts=(left,)))
    yield Place(name="not-ours", snapshot=a_snapshot(a_like(status="cancelled")))
    yield Place(name="deleted", snapshot=replace(a_snapshot(attempts=(an_attempt(Phase.EXECUTED),)), activity=None))
    heard = replace(earlier(1), evidence={"effect": "none", "message": "The provider answered 500: nothing"})
    yield Place(name="scheduled-with-late-evidence", snapshot=a_snapshot(attempts=(heard,)))


def _failure(cause: Cause) -> Failure:
    return _ANSWERS.get(cause) or Failure(cause=cause, message=f"What was seen is {cause.value.replace('_', ' ')}.")


def _record(cause: Cause) -> dict[str, Any]:
    told = _failure(cause)
    return {"cause": cause.value, "error_type": told.error_type.value, "message": told.message}


def _told(snapshot: Snapshot, answer: Answer) -> Place:
    mine = snapshot.attempts[-1]
    return _applied(snapshot, decide_verdict(snapshot, attempt=mine, answer=answer, policy=RetryPolicy()).writes)


def _after(snapshot: Snapshot, event: Any, *arguments: Any) -> Place:
    return _applied(snapshot, event(snapshot, *arguments))


def _applied(snapshot: Snapshot, writes: tuple[Write, ...]) -> Place:
    """The place after the writes, as the store would show it."""
    letter = None
    activity: Any = snapshot.activity
    for write in writes:
        if isinstance(write, SaveAttempt):
            others = tuple(each for each in snapshot.attempts if each.number != write.attempt.number)
            snapshot = replace(snapshot, attempts=(*others, write.attempt))
        elif isinstance(write, MarkScheduled):
            count = activity.failure_count + write.counts
            activity = replace(activity, next_retry_at=write.next_retry_at, failure_count=count)
        elif isinstance(write, MarkExecuted):
            activity = replace(activity, status="executed")
        elif isinstance(write, MarkFailed):
            activity = replace(activity, status="failed")
        elif isinstance(write, AddDeadLetter):
            letter = write.letter
        elif isinstance(write, Block):
            snapshot = replace(snapshot, controls=(*snapshot.controls, write.control))
    return Place(name="", snapshot=replace(snapshot, activity=activity), letter=letter)


def main() -> None:
    """Write all files, and remove those that have no place any more."""
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.txt"):
        stale.unlink()
    for place in places():
        (FOLDER / f"{place.name}.txt").write_text(page(place), encoding="utf-8")


if __name__ == "__main__":
    main()
