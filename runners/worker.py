"""The worker: threads that execute, one that listens to the queue, and the rounds.

The one rule: every path to a call of the provider goes agenda, claim, call. The queue and the sweep only fill the
agenda.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count

from engagement_core.execute import Executor
from engagement_core.outcome import Buried, Dropped, Executed, Outcome, Unknown, Waits
from engagement_core.ports import queue as ring
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.clock import Clock
from engagement_core.ports.queue import Queue, QueueUnavailable, Unreadable, WakeUp
from engagement_core.ports.telemetry import Signal, Telemetry
from runners.agenda import Agenda, Entry
from runners.pulse import Pulse
from runners.rounds import Outages, Round, Rounds

__all__ = ["Worker", "WorkerPolicy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPolicy:
    """`look_ahead`: how far into the future the agenda reaches; `listen`: how long one wait for a job lasts.

    An execution that lasts longer than `stuck_after` is stuck; so is an activity that waits so long for a thread while
    one is idle. `preparing`: how many threads ask the voice for comments that are due within `prepare_ahead`.
    """

    concurrency: int = 5
    poll_interval: timedelta = timedelta(seconds=2)
    look_ahead: timedelta = timedelta(seconds=8)
    listen: timedelta = timedelta(seconds=1)
    preparing: int = 0
    prepare_ahead: timedelta = timedelta(seconds=60)
    stuck_after: timedelta = timedelta(minutes=2)


_LOCKED = 1.0
_RELIEVED_EVERY = timedelta(milliseconds=500)
_PREPARED_AHEAD = 500
"""How many activities are looked at for their words; with more than that in a minute, the voice is the bottleneck."""


class Worker:
    """One worker process. `start`, then `drain`; or `burst` for all due work."""

    def __init__(
        self,
        *,
        executor: Executor,
        store: ActivityStore,
        queue: Queue,
        clock: Clock,
        telemetry: Telemetry,
        agenda: Agenda,
        rounds: tuple[Round, ...],
        report_unreadable: Callable[[Unreadable], None],
        policy: WorkerPolicy,
        lasting_calls: Callable[[], int] = lambda: 0,
    ) -> None:
        """`lasting_calls`: how many calls have lasted so long that their threads are missing elsewhere."""
        self._executor = executor
        self._store = store
        self._queue = queue
        self._clock = clock
        self._telemetry = telemetry
        self._agenda = agenda
        self._report_unreadable = report_unreadable
        self._policy = policy
        self._outages = Outages(telemetry)
        self._pulse = Pulse()
        self._rounds = Rounds(telemetry=telemetry, outages=self._outages, pulse=self._pulse)
        self._duties = rounds
        self._threads: list[threading.Thread] = []
        self._lasting_calls = lasting_calls
        self._relief = threading.Lock()
        self._stand_ins = 0
        self._numbers = count()
        self._draining = threading.Event()
        self._interval = policy.poll_interval

    def start(self) -> None:
        """Begin to work."""
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency)
        self._start_executing()
        sweep = Round(name="sweep", do=self._sweep_round, needs=StoreUnavailable)
        listen = Round(name="listen", do=self._listen_round, needs=QueueUnavailable)
        # Last, because a drain waits for the rounds in this order, and a voice may take its time.
        prepare = (
            Round(
                name=f"prepare-{number}",
                do=self._prepare_round,
                needs=StoreUnavailable,
                at_most=timedelta(minutes=3) + self._policy.stuck_after,
            )
            for number in range(self._policy.preparing)
        )
        relieve = Round(name="relieve", do=self._relieve_round, needs=None)
        self._rounds.start((*self._duties, sweep, listen, relieve, *prepare))

    def burst(self, stop: threading.Event) -> None:
        """Execute everything that is due, its retries included, and return; earlier when `stop` is set.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency, burst=True)
        self._start_executing()
        self._rounds.start(self._duties)
        met_before: frozenset[str] = frozenset()
        while not stop.is_set():
            due = self._sweep(timedelta(0))
            if not (self._drain_queue() or due or not self._agenda.is_idle()):
                return
            is_idle = self._agenda.wait_until_idle(self._policy.listen.total_seconds())
            if is_idle and due and due == met_before:
                return  # what is left cannot be executed now, and the log says why
            met_before = due

    def drain(self, grace: timedelta) -> bool:
        """Claim nothing new, finish what is in flight within `grace`, give back the rest; False if some was not
        finished (it is an orphan then, and another worker settles it)."""
        self._telemetry.emit(Signal.WORKER_DRAINING, grace_s=grace.total_seconds())
        self._draining.set()
        self._pulse.release()
        left = self._agenda.close()
        finished = self._agenda.wait_until_idle(grace.total_seconds())
        self._rounds.stop(5.0)
        if finished:
            for thread in list(self._threads):
                thread.join()
        for entry in left:
            if not self._settle(entry, ring.Later(at=_utc_now())):
                break  # each of the others would wait for a server that is away, too
        self._telemetry.emit(Signal.WORKER_STOPPED, finished=finished)
        return finished

    def _start_executing(self) -> None:
        for number in range(self._policy.concurrency):
            self._pulse.expect(self._start_thread(self._execute, f"execute-{number}"))

    def _start_thread(self, run: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _relieve_round(self) -> timedelta:
        """A thread whose call lasts is stood in for, so that the other accounts go on at full speed."""
        with self._relief:
            while self._stand_ins < self._wanted() and not self._draining.is_set():
                self._stand_ins += 1
                self._start_thread(self._stand_in, f"stand-in-{next(self._numbers)}")
        return _RELIEVED_EVERY

    def _wanted(self) -> int:
        return min(self._lasting_calls(), self._policy.concurrency)

    def is_draining(self) -> bool:
        """Whether it takes no new work any more."""
        return self._draining.is_set()

    def problems(self) -> tuple[str, ...]:
        """What does not move although it should, one sentence each; empty when all is well."""
        return () if self.is_draining() else (*self._pulse.problems(), *self._undispatched())

    def _undispatched(self) -> Iterator[str]:
        late = self._agenda.late_by(_LOCKED)
        if late is None:
            yield "the agenda cannot be looked at"
            return
        idle = sum(not self._pulse.is_at(thread.name) for thread in list(self._threads))
        if late > self._policy.stuck_after.total_seconds() and idle:
            yield f"an activity has waited for a thread for {late:.0f} s although {idle} are idle"

    def _execute(self) -> None:
        while self._execute_next():
            pass

    def _stand_in(self) -> None:
        while self._execute_next():
            with self._relief:
                if self._stand_ins > self._wanted():
                    self._stand_ins -= 1
                    self._threads.remove(threading.current_thread())
                    return

    def _execute_next(self) -> bool:
        entry = self._agenda.take()
        if entry is None:
            return False
        with self._pulse.at(threading.current_thread().name, self._policy.stuck_after):
            self._carry_out(entry)
        return True

    def _carry_out(self, entry: Entry) -> None:
        outcome = self._outcome_of(entry)
        left = self._agenda.done(entry, self._again_at(outcome))
        if left is entry:
            self._follow(entry, outcome)
        elif left is not None:
            self._leave_to_the_sweep(left)

    def _outcome_of(self, entry: Entry) -> Outcome:
        try:
            return self._executor.execute(entry.activity_id)
        except Exception as error:  # noqa: BLE001 - a defect met by one activity must not end the thread
            self._tell_of_defect(entry.activity_id, error)
            # For the sweep to bring again: a job that rang anew at once would do nothing else.
            return Waits(again_in=None, reason="a defect ended its execution")

    def _again_at(self, outcome: Outcome) -> float | None:
        """When it is to be looked at again, if that is soon enough for the agenda."""
        if not isinstance(outcome, Waits) or outcome.again_in is None or outcome.again_in > self._policy.look_ahead:
            return None
        return self._clock.elapsed() + outcome.again_in.total_seconds()

    def _follow(self, entry: Entry, outcome: Outcome) -> None:
        """What the outcome means for the job that rang."""
        if isinstance(outcome, Waits) and outcome.again_in is not None:
            self._settle(entry, ring.Later(at=_utc_now() + outcome.again_in))
        elif isinstance(outcome, Buried):
            reason = outcome.failure.message
            if entry.wake_up is None:
                self._quietly(entry.activity_id, lambda: self._queue.bury(entry.activity_id, reason))
            self._settle(entry, ring.Buried(reason=reason))
        else:
            # It has ended, or the sweep finds it when whatever blocks it is lifted.
            self._settle(entry, _done(outcome))

    def _settle(self, entry: Entry, settlement: ring.Settlement) -> bool:
        wake_up = entry.wake_up
        return wake_up is None or self._quietly(entry.activity_id, lambda: self._queue.settle(wake_up, settlement))

    def _quietly(self, activity_id: str, tell: Callable[[], None]) -> bool:
        """The queue is a mirror: that it cannot be told changes nothing. Whether it was told."""
        try:
            tell()
        except QueueUnavailable as error:
            self._outages.met(error)
        except Exception as error:  # noqa: BLE001 - nor must a defect met by one job end the thread
            self._tell_of_defect(activity_id, error)
        else:
            return True
        return False

    def _tell_of_defect(self, activity_id: str, error: Exception) -> None:
        message = f"{type(error).__name__}: {error}"
        self._telemetry.emit(Signal.EXECUTION_FAILED, activity_id=activity_id, message=message)

    def _listen_round(self) -> timedelta:
        # Jobs are left to an idle worker. (The round does not end meanwhile: that would say that Redis is there.)
        while not self._agenda.await_free_thread(self._policy.listen.total_seconds()):
            if self._draining.is_set():
                return self._policy.listen
        received = self._queue.receive(self._policy.listen)
        if isinstance(received, WakeUp) and not self._agenda.await_free_thread(0):
            self._hand_back(received)  # every thread has become busy while we listened
        else:
            self._note(received)
        return timedelta(0)

    def _hand_back(self, received: WakeUp) -> None:
        self._settle(Entry(received.activity_id, received), ring.Later(at=_utc_now()))

    def _note(self, received: WakeUp | Unreadable | None) -> None:
        if isinstance(received, Unreadable):
            self._telemetry.emit(Signal.PAYLOAD_UNREADABLE, job=received.receipt, reason=received.reason)
            self._report(received)
        elif received is not None:
            self._telemetry.emit(Signal.JOB_RECEIVED, activity_id=received.activity_id, job=received.receipt)
            self._bring(Entry(received.activity_id, received), self._clock.elapsed())

    def _bring(self, entry: Entry, at: float) -> None:
        left = self._agenda.add(entry, at)
        if left is not None:
            self._leave_to_the_sweep(left)

    def _leave_to_the_sweep(self, left: Entry) -> None:
        """It is in hand already, or comes again when there is room."""
        self._settle(left, ring.Done(status="scheduled", note="it is in hand"))

    def _report(self, received: Unreadable) -> None:
        try:
            self._report_unreadable(received)
        except StoreUnavailable as error:
            self._outages.met(error)  # the log has it, and so has the dead-letter queue

    def _sweep_round(self) -> timedelta:
        found = len(self._sweep(self._policy.look_ahead))
        if found >= self._agenda.capacity:
            return timedelta(milliseconds=200)
        fastest, slowest = timedelta(seconds=1), self._policy.poll_interval
        self._interval = max(fastest, self._interval / 2) if found else min(slowest, self._interval * 2)
        return self._interval

    def _prepare_round(self) -> timedelta:
        """Ask the voice for one comment, so that a drain waits for one at most."""
        for due in self._store.due(look_ahead=self._policy.prepare_ahead, limit=_PREPARED_AHEAD):
            if self._draining.is_set():
                break
            if self._executor.preparer.prepare(due.activity_id):
                return timedelta(0)
        return timedelta(seconds=1)

    def _sweep(self, look_ahead: timedelta) -> frozenset[str]:
        """Bring what is due soon into the agenda; which activities were found."""
        before = self._clock.elapsed()
        due = self._store.due(look_ahead=look_ahead, limit=self._agenda.capacity)
        # The read happened somewhere between `before` and now; the claim corrects the rest.
        read_at = (before + self._clock.elapsed()) / 2
        for each in due:
            self._bring(Entry(each.activity_id), read_at + each.due_in.total_seconds())
        return frozenset(each.activity_id for each in due)

    def _drain_queue(self) -> bool:
        """Note every job that rings at present; whether there was one."""
        found = False
        try:
            while (received := self._queue.receive(timedelta(milliseconds=10))) is not None:
                self._note(received)
                found = True
        except QueueUnavailable as error:
            self._outages.met(error)
        return found


def _done(outcome: Outcome) -> ring.Done:
    match outcome:
        case Executed():
            return ring.Done(note=outcome.provenance.value)
        case Dropped():
            return ring.Done(status=outcome.status, note=outcome.reason)
        case Waits():
            return ring.Done(status="scheduled", note=outcome.reason)
        case Unknown() | Buried():
            return ring.Done(status="scheduled", note=outcome.failure.message)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
