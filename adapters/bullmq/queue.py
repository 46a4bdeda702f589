"""The doorbell on BullMQ. Bull Board and QueueEvents show all that there is.

The one rule: a job is a hint. BullMQ keeps its states, its locks and its clock. It never decides that something is
sent; only a claim in PostgreSQL decides that.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from adapters.bullmq.connection import EventLoop
from adapters.bullmq.job_id import job_id_for
from adapters.bullmq.jobs import BullJobs, Lost, Misfit, Taken
from adapters.bullmq.payload import encoded, read_job
from adapters.redis.endpoint import RedisEndpoint
from adapters.redis.last_depth import LastDepth
from adapters.redis.payload import Illegible, printable
from engagement_core.model.job import DeadLettered, Done, Later, Settlement, Unreadable, WakeUp
from engagement_core.ports.queue import Queue, QueueUnavailable

__all__ = ["BullmqQueue"]

T = TypeVar("T")
_NAME = "execute-engagement"
_BLOCK_SECONDS = 10.0
"""So long an idle worker waits in one command. A Redis that dies silently is noticed after it and two seconds more."""
_ASK_EVERY = timedelta(seconds=10)
_MAX_REASON = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """A job in this worker's hands.
    Its lock is renewed until the job is settled, or until `until` (monotonic seconds)."""

    activity_id: str
    taken: Taken
    until: float


class _Session:
    """What belongs to the event loop."""

    def __init__(self, place: RedisEndpoint, name: str, dead_letter_name: str, prefix: str) -> None:
        self.loop = EventLoop(place, longest_block=_BLOCK_SECONDS)
        self.ready = BullJobs(name, self.loop.client, prefix, waiting=self.loop.waiting)
        self.dead = BullJobs(dead_letter_name, self.loop.client, prefix)


class BullmqQueue(Queue):
    """`Queue` on BullMQ, for jobs from Node producers and for our own. It uses two connections."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "pod-engagement",
        dead_letter_name: str = "pod-engagement-dead-letter",
        prefix: str = "bull",
        abandoned_after: timedelta = timedelta(minutes=5),
        stalled_every: timedelta = timedelta(seconds=30),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Does not connect.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            name: the queue to listen to.
            dead_letter_name: the queue that mirrors the dead letters.
            prefix: the prefix of BullMQ's keys, as the producer has it.
            abandoned_after: how long a received job may stay unsettled; must be longer than the job timeout.
            stalled_every: how often to look for jobs whose worker died; BullMQ's own workers do so every 30 s.
            now: the time, aware UTC.

        Raises:
            QueueUnavailable: the URL is not usable.
        """
        self._place = RedisEndpoint(url)
        self._names = (name, dead_letter_name, prefix)
        self._abandoned_after = abandoned_after
        self._stalled_every = stalled_every
        self._stalled_checked_at = -math.inf
        self._last_depth = LastDepth()
        self._now = now
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._held: dict[str, _Held] = {}

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.loop.stop()

    def ring(self, activity_id: str, at: datetime) -> None:
        """Put the activity's one job into the queue.
        It replaces a job of this activity that waits, is kept or is held."""
        job_id, now = job_id_for(activity_id), _milliseconds(self._now())
        data, at_ms = {"activityId": activity_id}, _milliseconds(at)
        self._call(lambda bull: bull.ready.add(_NAME, data, job_id=job_id, at_ms=at_ms, now_ms=now))

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """The next jobs. A job for an activity that this worker already has in hand is completed on the way."""
        until = time.monotonic() + timeout.total_seconds()
        while True:
            taken = self._call(lambda bull: bull.ready.take(until=until, longest_block=_BLOCK_SECONDS, at_most=at_most))
            received = [self._read(each) for each in taken]
            if not taken or any(received):
                return tuple(each for each in received if each is not None)

    def interrupt(self) -> None:
        """Cancel the wait for BullMQ's marker."""
        with self._lock:
            if self._session is not None:
                self._session.loop.call_soon(self._session.ready.stop_waiting)

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """Complete, fail or delay the jobs; mirror the dead letters. A newer ring is left alone."""
        self._call(lambda bull: self._move_all(bull.ready, settlements))
        for wake_up, settlement in settlements:
            if isinstance(settlement, DeadLettered):
                self._mirror(wake_up.activity_id, settlement.reason)

    def bury(self, activity_id: str, reason: str) -> None:
        """Mirror it in the dead-letter queue.
        A job that will ring for it stays; when it rings, it fails and gives the reason."""
        self._mirror(activity_id, reason)

    def unbury(self, activity_id: str) -> None:
        """Remove it from the dead-letter queue. A job that rings for it stays."""
        self._call(lambda bull: bull.dead.remove(job_id_for(activity_id)))

    def advance(self, look_ahead: timedelta) -> int:
        """Promote jobs that are due, at most 500.
        Renew the locks of jobs in hand, and free jobs whose locks nobody renews."""
        self._renew()
        if time.monotonic() - self._stalled_checked_at >= self._stalled_every.total_seconds():
            every_ms = max(self._stalled_every // timedelta(milliseconds=1), 1)
            self._call(lambda bull: bull.ready.put_back_stalled(every_ms))
            self._stalled_checked_at = time.monotonic()
        until = _milliseconds(self._now() + look_ahead)
        moved = self._call(lambda bull: bull.ready.promote(until))
        self.depth(at_most_old=_ASK_EVERY)  # an idle queue needs nothing else, and would not notice that Redis is away
        return moved

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:
        """The waiting and the prioritised jobs."""
        known = self._last_depth.no_older_than(at_most_old)
        return known if known is not None else self._last_depth.remember(self._call(lambda bull: bull.ready.depth()))

    def _call(self, do: Callable[[_Session], Coroutine[Any, Any, T]]) -> T:
        try:
            with self._place.errors():
                with self._lock:
                    session = self._session = self._session or _Session(self._place, *self._names)
                return session.loop.run(do(session))
        except QueueUnavailable:
            self._last_depth.forget()  # whoever asks for it next is told so, too
            raise

    def _read(self, taken: Taken | Misfit) -> WakeUp | Unreadable | None:
        if isinstance(taken, Misfit):
            return self._set_aside(taken.job_id, Illegible(reason=taken.reason, raw=printable(encoded(taken.raw))))
        if taken.is_a_ghost:
            self._call(lambda bull: _unless_lost(bull.ready.complete(taken, {}, keep=False)))
            return None
        payload = read_job(taken.job_id, taken.fields)
        if isinstance(payload, Illegible):
            unreadable = self._set_aside(taken.job_id, payload)
            reason = f"unreadable: {payload.reason}"
            self._call(lambda bull: _unless_lost(bull.ready.fail(taken, reason, keep=False)))
            return unreadable
        return self._hand_out(taken, payload.activity_id)

    def _hand_out(self, taken: Taken, activity_id: str) -> WakeUp | None:
        """None if another job for this activity is in hand: the two would share one entry of the delay queue."""
        receipt = f"{taken.job_id}:{taken.token}"
        until = time.monotonic() + self._abandoned_after.total_seconds()
        mine = _Held(activity_id=activity_id, taken=taken.without_payload(), until=until)
        with self._lock:
            # The same job has been taken again: the receipts that we hold of it are void.
            self._held = {key: held for key, held in self._held.items() if held.taken.job_id != taken.job_id}
            in_hand = {held.taken.job_id for held in self._held.values() if held.activity_id == activity_id}
            if not in_hand:
                self._held[receipt] = mine
                return WakeUp(activity_id=activity_id, receipt=receipt)
        result = {"status": "scheduled", "note": f"job {min(in_hand)} has rung for it already"}
        self._call(lambda bull: _unless_lost(bull.ready.complete(taken, result)))
        return None

    async def _move_all(self, ready: BullJobs, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        refusals: list[ResponseError] = []
        for wake_up, settlement in settlements:
            job_id, _, token = wake_up.receipt.rpartition(":")
            with self._lock:
                held = self._held.pop(wake_up.receipt, None)
            taken = held.taken if held is not None else Taken(job_id=job_id, token=token, fields={})
            try:
                await self._move(ready, taken, settlement)
            except ResponseError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    async def _move(self, ready: BullJobs, taken: Taken, settlement: Settlement) -> None:
        now = self._now()
        match settlement:
            case DeadLettered(reason=reason) | Done(status="failed", note=reason):
                move = ready.fail(taken, reason[:_MAX_REASON])
            case Later(at=at):
                move = ready.delay(taken, at_ms=_milliseconds(at), now_ms=_milliseconds(now))
            case Done(status="scheduled"):
                again = _milliseconds(now + _pause(taken.times))
                move = ready.delay(taken, at_ms=again, now_ms=_milliseconds(now))
            case Done(status=status, note=note):
                move = ready.complete(taken, {"status": status, "note": note[:_MAX_REASON]})
        await _unless_lost(move)

    def _renew(self) -> None:
        with self._lock:
            self._held = {receipt: held for receipt, held in self._held.items() if held.until > time.monotonic()}
            taken = [held.taken for held in self._held.values()]
        if not taken:
            return
        lost = self._call(lambda bull: bull.ready.renew(taken))
        with self._lock:
            for each in taken:
                if each.job_id in lost:
                    self._held.pop(f"{each.job_id}:{each.token}", None)

    def _mirror(self, activity_id: str, reason: str) -> None:
        data = {"activityId": activity_id, "reason": reason[:_MAX_REASON]}
        self._add_dead("dead-letter", data, job_id_for(activity_id))

    def _set_aside(self, job_id: str, payload: Illegible) -> Unreadable:
        receipt = printable(encoded(job_id))
        digest = hashlib.sha256(f"{receipt} {payload.raw}".encode()).hexdigest()
        data = {"reason": payload.reason, "raw": payload.raw, "jobId": receipt}
        self._add_dead("unreadable", data, f"unreadable-{digest[:32]}")
        return Unreadable(receipt=receipt, reason=payload.reason, raw=payload.raw)

    def _add_dead(self, name: str, data: Mapping[str, str], job_id: str) -> None:
        now = _milliseconds(self._now())
        self._call(lambda bull: bull.dead.add(name, data, job_id=job_id, at_ms=now, now_ms=now))


async def _unless_lost(move: Awaitable[None]) -> None:
    """If another worker has the job by now, its view counts."""
    with suppress(Lost):
        await move


def _pause(times: int) -> timedelta:
    """How long until a job rings again whose activity is held or in other hands: 2 s, doubled each time, 64 s at
    most."""
    return timedelta(seconds=2 ** min(max(times, 1), 6))


def _milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, the fraction cut off: it rings early rather than late."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
