"""The provider of a simulated world: what it does, what it says and what it shows are three things.

The one rule: it stays within the limits that the promise states. It applies nothing later than the attempt's deadline
plus the visibility lag, and by then its reads show it; up to there it may lie as it likes.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from engagement_core.model.activity import EngagementType
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.provider import Answer, Applied, Engagement, Found, NoReadBack, NotSent, ReadBack, Seen
from engagement_core.ports.clock import Deadline
from engagement_core.ports.linkedin import LinkedIn
from simulation.promise import Sent
from simulation.schedule import micros
from simulation.temper import Script

if TYPE_CHECKING:
    from simulation.worker import Worker
    from simulation.world import World

__all__ = ["Provider", "WorkersLinkedIn"]

_UNHEARD = frozenset({Script.DONE_UNHEARD, Script.DONE_LATE, Script.UNHEARD})
_APPLIED = frozenset(script for script in Script if script.name.startswith("DONE"))
_ANSWERS: Mapping[Script, Cause] = {
    Script.DONE_5XX: Cause.SERVER_ERROR,
    Script.SERVER_ERROR: Cause.SERVER_ERROR,
    Script.DONE_UNINTELLIGIBLE: Cause.UNINTELLIGIBLE,
    Script.UNINTELLIGIBLE: Cause.UNINTELLIGIBLE,
    Script.DONE_BREAKS: Cause.UNINTELLIGIBLE,
    Script.BREAKS: Cause.UNINTELLIGIBLE,
    Script.NOT_SENT: Cause.NOT_SENT,
    Script.NO_SESSION: Cause.NO_SESSION,
    Script.RATE_LIMITED: Cause.RATE_LIMITED,
    Script.RATE_LIMITED_FOR: Cause.RATE_LIMITED,
    Script.SIGNED_OUT: Cause.ACCOUNT_SIGNED_OUT,
    Script.BLOCKED: Cause.PROFILE_BLOCKED,
    Script.GONE: Cause.POST_GONE,
    Script.INVALID: Cause.REJECTED,
}
_Said = TypeVar("_Said")
_READ_FAILURES = (Cause.NO_ANSWER, Cause.SERVER_ERROR, Cause.RATE_LIMITED, Cause.ACCOUNT_SIGNED_OUT, Cause.NOT_SENT)


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """An engagement that a post shows. From `visible_by` on, every read shows it."""

    engagement_id: str | None
    text: str | None
    at: datetime
    visible_by: datetime


@dataclass(eq=False)
class Provider:
    """All the posts. `skew` is its clock against the database's; dates are whole seconds if it `truncates`."""

    world: World
    reads_back: bool
    skew: timedelta
    truncates: bool
    hides_dates: bool
    posts: dict[tuple[EngagementType, str, str], list[_Shown]] = field(default_factory=dict)
    _ids: int = 0

    def put(self, engagement: Engagement, visible_by: datetime) -> Applied:
        """Add an engagement to a post, ours or a person's. A reaction is set, not added."""
        now = self.world.db_now()
        is_like = engagement.engagement_type is EngagementType.LIKE
        shown = self.posts.setdefault((engagement.engagement_type, engagement.post_id, engagement.account.id), [])
        self._ids += 1
        new = _Shown(
            engagement_id=None if is_like else f"comment-{self._ids}",
            text=engagement.text,
            at=now,
            visible_by=visible_by,
        )
        if is_like and shown:
            shown[0] = replace(shown[0], visible_by=min(shown[0].visible_by, visible_by))
        else:
            shown.append(new)
        return Applied(engagement_id=new.engagement_id, created_at=self._date(now))

    def show(self, engagement: Engagement) -> Seen:
        """What a read shows now."""
        rng, temper, now = self.world.rng, self.world.temper, self.world.db_now()
        on_post = self.posts.get((engagement.engagement_type, engagement.post_id, engagement.account.id), [])
        visible = [each for each in on_post if now >= each.visible_by or rng.random() < temper.shows_early]
        return Seen(own=tuple(self._found(each, engagement.engagement_type) for each in reversed(visible)))

    def _found(self, shown: _Shown, kind: EngagementType) -> Found:
        if kind is EngagementType.LIKE:
            return Found(engagement_id=None, text=None, created_at=None)
        date = None if self.hides_dates else self._date(shown.at)
        return Found(engagement_id=shown.engagement_id, text=self._mangled(shown.text or ""), created_at=date)

    def _date(self, at: datetime) -> datetime:
        dated = at + self.skew
        return dated.replace(microsecond=0) if self.truncates else dated

    def _mangled(self, text: str) -> str:
        if self.world.rng.random() >= self.world.temper.mangles:
            return text
        return self.world.rng.choice(
            (html.escape(text), f" {text}\n", text.replace(" ", "  "), text.replace("'", "&#39;"))
        )


@dataclass(eq=False)
class WorkersLinkedIn(LinkedIn):
    """The provider as one worker reaches it: fills `engagement_core.ports.linkedin.LinkedIn`."""

    worker: Worker

    def available_in(self) -> timedelta:
        """See the port."""
        return timedelta(0)

    def engage(self, engagement: Engagement, deadline: Deadline) -> Answer:
        """See the port."""
        world = self.worker.world
        self.worker.step("engage", 2_000)
        script = world.choose_script()
        if script is Script.BREAKER:
            return self._said("breaker open", NotSent(reason="The breaker is open.", retry_in=timedelta(seconds=5)))
        if deadline.remaining() <= 0:
            return self._said("too late", Failure(cause=Cause.NOT_SENT, message="The deadline has passed."))
        one = world.sent_by_current(engagement)
        one.applies = script in _APPLIED
        if script is Script.NOT_SENT:
            one.answer = Failure(cause=Cause.NOT_SENT, message="The connection was refused.")
        world.promise.leaves(one)
        world.note(self.worker.name, "SENT", one.activity_id, one.token, script.name)
        answered: list[Answer] = []
        waited, hears = self._travel(one, script, deadline, answered)
        self.worker.step("engage", 0, at_least=waited)
        unheard = Failure(cause=Cause.NO_ANSWER, message="No answer came in time.")
        one.answer = one.answer or (answered[0] if hears else unheard)
        one.answered_at = world.db_now()
        self.worker.step("engage", 0)
        if script in (Script.DONE_BREAKS, Script.BREAKS):
            raise ValueError("the adapter breaks")
        return self._said(f"answered {one.activity_id}", one.answer)

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """See the port."""
        world = self.worker.world
        self.worker.step("read_back", 500_000)
        if not world.provider.reads_back:
            return NoReadBack()
        if world.rng.random() < world.temper.read_fails:
            return self._said("read failed", Failure(cause=world.rng.choice(_READ_FAILURES), message="It failed."))
        if world.rng.random() < world.temper.read_breaks:
            raise ValueError("the adapter breaks")
        seen = world.provider.show(engagement)
        self.worker.step("read_back", 500_000)
        if deadline.remaining() <= 0:
            return self._said("read too late", Failure(cause=Cause.NO_ANSWER, message="No answer came in time."))
        return self._said("read", seen)

    def _travel(self, one: Sent, script: Script, deadline: Deadline, answered: list[Answer]) -> tuple[int, bool]:
        """Deliver the request, whatever becomes of the worker. Returns how long the worker waits, and if it hears."""
        world = self.worker.world
        final_at = one.deadline_at + world.visibility_lag
        last = max(world.micros_until(final_at if world.provider.reads_back else one.deadline_at), 0)
        arrives = min(world.latency(1_000_000), last)
        if script is Script.DONE_LATE:
            arrives = world.rng.randint(arrives, last)
        world.scheduler.at(world.scheduler.now + arrives, partial(self._arrive, one, script, final_at, answered))
        answers = arrives + 1 + world.latency(200_000)  # an answer comes after what it answers
        gives_up = micros(timedelta(seconds=max(deadline.remaining(), 0)))
        if script in _UNHEARD or answers > gives_up:
            return world.rng.randint(0, gives_up) if world.rng.random() < world.temper.slow else gives_up, False
        return answers, True

    def _arrive(self, one: Sent, script: Script, final_at: datetime, answered: list[Answer]) -> None:
        world = self.worker.world
        asked = timedelta(seconds=world.rng.choice((1, 30, 300))) if script is Script.RATE_LIMITED_FOR else None
        cause = _ANSWERS.get(script, Cause.NO_ANSWER)
        says: Answer = Failure(cause=cause, message=script.value, retry_after=asked)
        if one.applies:
            world.note("provider", "APPLIES", one.activity_id, one.token)
            visible_by = min(world.db_now() + world.visibility_lag, final_at)
            applied = world.provider.put(one.engagement, visible_by)
            world.promise.happens(one)
            if script not in _ANSWERS:
                says = applied
        if script is Script.DONE_WITHOUT_ID:
            says = Applied(engagement_id=None, created_at=None)
        answered.append(says)

    def _said(self, what: str, answer: _Said) -> _Said:
        self.worker.world.note(self.worker.name, what, answer)
        return answer
