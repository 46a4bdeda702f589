"""The promise, watched from outside: what the provider was asked and did, against what the store says.

The one rule: nothing here asks the code under test for an opinion. What was sent and what came of it is known from the
simulated provider; the checks are written down again from the design, not called from the core.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engagement_core.model.activity import Account, Activity, EngagementType, Malformed
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope
from engagement_core.model.decision import MarkExecuted, SaveAttempt, Write
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.provider import Answer, Engagement, NotSent
from engagement_core.model.snapshot import Snapshot
from fakes.activities import InMemoryActivityStore

__all__ = ["Promise", "PromiseBroken", "Sent", "Thing"]

_USABLE_STATUS = frozenset({"scheduled", "executed", "failed"})
Thing = tuple[str, str, str, str]
"""What cannot be told apart on a post: kind, account, post, original text."""


class PromiseBroken(BaseException):
    """An invariant is broken; `rule` names it. It is no `Exception`, because the code under test survives those."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


@dataclass(eq=False)
class Sent:
    """One request that was sent to the provider. `applies` is what the provider will do, whatever it answers."""

    activity_id: str
    token: str
    engagement: Engagement
    at: datetime
    deadline_at: datetime
    epoch: int
    applies: bool = False
    answer: Answer | None = None
    answered_at: datetime | None = None

    @property
    def was_refused(self) -> bool:
        """The provider told its sender, truthfully, that nothing was done."""
        return isinstance(self.answer, NotSent) or (
            isinstance(self.answer, Failure) and self.answer.effect is Effect.NONE
        )


@dataclass(kw_only=True)
class Promise:
    """Watches one world. `tampered` are activities whose rows somebody else has changed: they may end in any status,
    but they are not sent twice either."""

    store: InMemoryActivityStore
    reads_back: bool
    visibility_lag: timedelta
    max_attempts: int
    sent: dict[str, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    done: list[Sent] = field(default_factory=list)
    things: dict[str, Thing] = field(default_factory=dict)
    siblings: dict[Thing, set[str]] = field(default_factory=lambda: defaultdict(set))
    manual: dict[Thing, int] = field(default_factory=lambda: defaultdict(int))
    tampered: set[str] = field(default_factory=set)
    readdressed: set[str] = field(default_factory=set)
    epochs: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cooled_until: dict[str, datetime] = field(default_factory=dict)

    def began(self, before: Snapshot, attempt: Attempt, truth: Activity | Malformed | None) -> None:
        """The intent to send was committed; `truth` is the row at that moment."""
        key = attempt.activity_id
        _check(
            "not scheduled",
            isinstance(truth, Activity) and truth.status == "scheduled",
            f"{key} is sent, and is not scheduled",
        )
        assert isinstance(truth, Activity)
        _check("early", before.now >= truth.scheduled_for, f"{key} is sent {truth.scheduled_for - before.now} early")
        _check("early", truth.next_retry_at is None or before.now >= truth.next_retry_at, f"{key} is tried again early")
        witnesses = [a.number for a in before.attempts if (a.evidence or {}).get("effect") == Effect.APPLIED.value]
        _check("evidence ignored", not witnesses, f"{key} is sent, and it is on record that attempt {witnesses} did it")
        self._check_not_blocked(truth, attempt, before.now)

    def _check_not_blocked(self, activity: Activity, attempt: Attempt, now: datetime) -> None:
        account_id = attempt.account_id or ""
        scopes = {(BlockScope.ALL, ""), (BlockScope.POD, activity.pod_id), (BlockScope.ACCOUNT, account_id)}
        for control in self.store.controls:
            is_over = control.until is not None and control.until <= now
            hits = (control.scope, control.scope_id) in scopes and not is_over
            _check(
                "blocked",
                not hits,
                f"{activity.id} is sent during a {control.kind.value} of {control.scope_id or 'all'}",
            )
        account = self.store.accounts[account_id]
        _check(
            "held account",
            account.status == "ok",
            f"{activity.id} is sent by account {account_id}, which is {account.status}",
        )
        until = self.cooled_until.get(account_id)
        _check(
            "told to wait",
            until is None or now >= until,
            f"{activity.id} is sent although {account_id} was told to wait",
        )
        self._check_cap(account, now)

    def _check_cap(self, account: Account, now: datetime) -> None:
        if account.daily_limit is not None:
            begun = [a.began_at for of in self.store.attempts.values() for a in of.values() if _counts(a, account)]
            sent = sum(1 for at in begun if at is not None and at > now - timedelta(hours=24))
            _check(
                "cap",
                sent <= account.daily_limit,
                f"account {account.id} has sent {sent}, and may {account.daily_limit}",
            )

    def committed(self, writes: tuple[Write, ...], by: str) -> None:
        """A change was committed; `by` is the name of the decision."""
        for write in writes:
            if isinstance(write, SaveAttempt):
                self._check_rivals(write.attempt.activity_id)
                if by == "decide_verdict":
                    self._remember_cool_down(write.attempt)
            if isinstance(write, MarkExecuted):
                self._check_exists(write.activity_id)

    def _check_rivals(self, key: str) -> None:
        rivals = [a for a in self.store.attempts[key].values() if a.may_have_had_effect]
        _check("rivals", len(rivals) <= 1, f"{key} has {len(rivals)} attempts that may have had an effect")

    def _remember_cool_down(self, attempt: Attempt) -> None:
        one = self._by_token(attempt)
        if one is not None and isinstance(one.answer, Failure) and one.answer.cause is Cause.RATE_LIMITED:
            assert one.answered_at is not None
            account = one.engagement.account.id
            until = one.answered_at + (one.answer.retry_after or timedelta(0))
            self.cooled_until[account] = max(until, self.cooled_until.get(account, until))

    def _by_token(self, attempt: Attempt) -> Sent | None:
        return next((one for one in self.sent[attempt.activity_id] if one.token == attempt.token), None)

    def leaves(self, one: Sent) -> None:
        """A request is sent to the provider now."""
        key = one.activity_id
        attempt = next((a for a in self.store.attempts.get(key, {}).values() if a.token == one.token), None)
        _check(
            "no intent",
            attempt is not None and attempt.began_at is not None,
            f"{key} is sent without a committed intent",
        )
        assert attempt is not None
        _check("not frozen", attempt.text == one.engagement.text, f"{key}: what is sent is not what was frozen")
        _check(
            "too late",
            one.at <= attempt.deadline_at,
            f"{key} is sent {one.at - attempt.deadline_at} after its deadline",
        )
        for earlier in self.sent[key]:
            self._check_proof(earlier, one)
        crashed = {each.token for each in self.store.attempts[key].values() if each.crashed}
        of_epoch = sum(1 for other in self.sent[key] if other.epoch == one.epoch and other.token not in crashed)
        if key not in self.tampered:
            _check("too often", of_epoch < self.max_attempts, f"{key} is sent for the {of_epoch + 1}th time")
        self.sent[key].append(one)

    def _check_proof(self, earlier: Sent, one: Sent) -> None:
        if earlier.was_refused:
            return
        key = one.activity_id
        if self.reads_back or one.engagement.engagement_type is EngagementType.COMMENT:
            final_at = earlier.deadline_at + self.visibility_lag
            _check(
                "no proof",
                one.at >= final_at,
                f"{key} is sent again {final_at - one.at} before anything could be proven",
            )
        else:
            _check("no proof", one.at >= earlier.deadline_at, f"{key} is sent again before its last attempt was over")

    def happens(self, one: Sent) -> None:
        """The provider applies a request."""
        self.done.append(one)
        key = one.activity_id
        if not self.reads_back and one.engagement.engagement_type is EngagementType.LIKE:
            return
        thing = self.things[key]
        times = sum(1 for other in self.done if self.things[other.activity_id] == thing)
        _check(self._twice(thing), times <= len(self.siblings[thing]), f"{key} happens twice")

    def _check_exists(self, key: str) -> None:
        if key in self.tampered:
            return
        activity, thing = self.store.activities[key], self.things[key]
        assert isinstance(activity, Activity)
        _check("nothing happened", self._times(thing) > 0, f"{key} becomes executed, and nothing has happened")

    def _times(self, thing: Thing) -> int:
        return self.manual[thing] + sum(1 for other in self.done if self.things[other.activity_id] == thing)

    def _twice(self, thing: Thing) -> str:
        """The name of the rule that is broken if it happens twice; some causes have a name of their own."""
        if thing[0] == EngagementType.COMMENT.value and len(self.siblings[thing]) > 1:
            return "identical comments"
        return "twice, readdressed" if self.siblings[thing] & self.readdressed else "twice"

    def _is_alone(self, key: str) -> bool:
        thing = self.things[key]
        return thing[0] == EngagementType.LIKE.value or len(self.siblings[thing]) == 1

    def check_words(self) -> None:
        """Other services read only the three words that they know."""
        for key, activity in self.store.activities.items():
            _check(
                "status word",
                key in self.tampered or activity.status in _USABLE_STATUS,
                f"{key} is {activity.status!r}",
            )

    def check_end(self) -> None:
        """After the calm: nothing is lost, and every row is true."""
        self.check_words()
        for key in sorted(self.store.activities):
            if key not in self.tampered:
                self._check_ended(key)
        for thing, keys in self.siblings.items():
            if not keys & self.tampered:
                self._check_thing(thing, keys)

    def _check_ended(self, key: str) -> None:
        activity = self.store.activities[key]
        still = [a for a in self.store.attempts.get(key, {}).values() if a.phase in (Phase.CLAIMED, Phase.SENDING)]
        _check("unfinished", not still, f"{key} is still {still and still[0].phase.value} after the calm")
        _check("lost", activity.status != "scheduled", f"{key} is lost: still scheduled after the calm")
        if activity.status == "failed":
            self._check_letter(key)

    def _check_letter(self, key: str) -> None:
        letter = self.store.dead_letters.get(key)
        _check("no letter", letter is not None, f"{key} failed without a dead letter")
        assert letter is not None
        # Of comments that cannot be told apart one may stand for the other: those are counted, in `_check_thing`.
        if any(one.activity_id == key for one in self.done) and self._is_alone(key):
            is_held = letter.effect is not Effect.NONE
            _check("letter denies effect", is_held, f"{key} has happened, and its dead letter denies it: {letter}")

    def _check_thing(self, thing: Thing, keys: set[str]) -> None:
        executed = sum(1 for key in keys if self.store.activities[key].status == "executed")
        letters = [self.store.dead_letters[key] for key in sorted(keys) if key in self.store.dead_letters]
        held = sum(1 for letter in letters if letter.effect is not Effect.NONE)
        if thing[0] == EngagementType.LIKE.value:
            _check(
                "nothing happened", not executed or self._times(thing) > 0, f"{thing}: executed, and nobody likes it"
            )
            return
        times = self._times(thing)
        rule = "identical comments" if len(keys) > 1 else "nothing happened"
        _check(rule, executed <= times, f"{thing}: {executed} executed, {times} on the post")
        ours = times - self.manual[thing]
        _check(
            self._twice(thing),
            ours <= executed + held,
            f"{thing}: {ours} on the post, {executed} executed, {held} held for a person",
        )


def _counts(attempt: Attempt, account: Account) -> bool:
    return attempt.account_id == account.id and attempt.event is not Event.RELEASE


def _check(rule: str, holds: bool, otherwise: str) -> None:
    if not holds:
        raise PromiseBroken(rule, otherwise)
