"""A newsroom that likes and comments its own announcements, with the executor inside its own process.

The one rule: nothing but the standard library and `engagement_core`. The store is sqlite3, the provider is two
functions of the newsroom's, the clock is the machine's; what must not happen twice is the core's business.

    python examples/newsroom/newsroom.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from engagement_core import (
    Account,
    Activity,
    Answer,
    Applied,
    Cause,
    ClaimPolicy,
    Deadline,
    Engagement,
    EngagementType,
    Executor,
    Failure,
    Found,
    OrphanPolicy,
    PendingDecisions,
    Pod,
    ReadBack,
    ReconcilePolicy,
    Reconciler,
    Seen,
    Signal,
    VoiceCartridge,
    adopt_orphans,
)
from sqlite_store import SqliteActivityStore

POD = Pod(id="newsroom", voice_cartridge_id=None, linkedin_account_id="desk")
ACCOUNT = Account(
    id="desk", profile_id=None, provider_account_id=None, access_token=None, status=None, daily_limit=None
)


class FunctionGateway:
    """Fills `engagement_core.LinkedIn` with two functions.

    `engage(post, text)` does it (text is None for a like) and returns the provider's id; it raises
    `ConnectionRefusedError` when nothing was sent, and anything else of `OSError` when nobody can tell. `look(post)`
    lists what is there by now.
    """

    def __init__(
        self, engage: Callable[[str, str | None], str], look: Callable[[str], list[tuple[str, str | None]]]
    ) -> None:
        self._engage, self._look = engage, look

    def engage(self, engagement: Engagement, deadline: Deadline) -> Answer:
        """See the port."""
        if deadline.remaining() <= 0:
            return Failure(cause=Cause.NOT_SENT, message="It was too late to be sent.")
        try:
            engagement_id = self._engage(engagement.post_id, engagement.text)
        except ConnectionRefusedError as error:
            return Failure(cause=Cause.NOT_SENT, message=f"Nothing was sent: {error}.")
        except OSError as error:
            return Failure(cause=Cause.NO_ANSWER, message=f"No answer came: {error}.")
        return Applied(engagement_id=engagement_id, created_at=None)

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """See the port."""
        is_comment = engagement.engagement_type is EngagementType.COMMENT
        try:
            there = self._look(engagement.post_id)
        except OSError as error:
            return Failure(cause=Cause.NO_ANSWER, message=f"It cannot be looked up: {error}.")
        own = (
            Found(engagement_id=engagement_id, text=text, created_at=None)
            for engagement_id, text in there
            if (text is not None) is is_comment
        )
        return Seen(own=tuple(own))

    def available_in(self) -> timedelta:
        """See the port."""
        return timedelta(0)


class PlainVoice:
    """Fills `engagement_core.Voice`: the newsroom says what it means."""

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """See the port."""
        return activity.comment_text or ""


class MachineClock:
    """Fills `engagement_core.Clock`."""

    def elapsed(self) -> float:
        """See the port."""
        return time.monotonic()


class Printer:
    """Fills `engagement_core.Telemetry`."""

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        print(signal.value, *(f"{name}={value}" for name, value in fields.items()))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The newsroom's own worker: one thread that calls `work` again and again."""

    store: SqliteActivityStore
    executor: Executor
    reconciler: Reconciler

    @classmethod
    def open(cls, store: SqliteActivityStore, gateway: FunctionGateway, worker_id: str) -> Desk:
        """With short times: the provider is near and its reads do not lag."""
        clock, printer = MachineClock(), Printer()
        policy = ReconcilePolicy(visibility_lag=timedelta(milliseconds=100))
        executor = Executor(
            worker_id=worker_id,
            store=store,
            linkedin=gateway,
            voice=PlainVoice(),
            telemetry=printer,
            clock=clock,
            pending=PendingDecisions(),
            claim_policy=ClaimPolicy(job_timeout=timedelta(seconds=1)),
            reconcile_policy=policy,
        )
        reconciler = Reconciler(store=store, linkedin=gateway, telemetry=printer, clock=clock, policy=policy)
        return cls(store=store, executor=executor, reconciler=reconciler)

    def work(self) -> None:
        """Once: what could not be written, what nobody works on, what nobody knows, what is due."""
        self.executor.pending.flush(self.store)
        adopt_orphans(self.store, self.executor.telemetry, OrphanPolicy())
        self.reconciler.settle_all()
        for due in self.store.due(look_ahead=timedelta(0), limit=10):
            self.executor.execute(due.activity_id)

    def work_until(self, done: Callable[[], bool]) -> None:
        """Again and again, twenty times a second."""
        while not done():
            self.work()
            time.sleep(0.05)


@dataclass
class PretendedLinkedIn:
    """What the newsroom's two functions talk to here. The first call is applied, and its answer is lost."""

    applied: list[tuple[str, str | None]] = field(default_factory=list)
    calls: int = 0

    def engage(self, post: str, text: str | None) -> str:
        """Like it, or comment it."""
        self.calls += 1
        self.applied.append((post, text))
        if self.calls == 1:
            raise ConnectionResetError("the line went dead")
        return f"engagement-{len(self.applied)}"

    def look(self, post: str) -> list[tuple[str, str | None]]:
        """What is under the post."""
        return [(f"engagement-{at}", text) for at, (where, text) in enumerate(self.applied, 1) if where == post]


def main() -> int:
    """Schedule a comment and a like, execute both, and say what happened; 0 if each happened once."""
    linkedin = PretendedLinkedIn()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteActivityStore(str(Path(folder) / "newsroom.db"), pod=POD, account=ACCOUNT, worker_id="desk-1")
        now = datetime.now(timezone.utc)
        store.schedule("comment-1", EngagementType.COMMENT, "urn:li:activity:1", now, "Our story of the day.")
        store.schedule("like-1", EngagementType.LIKE, "urn:li:activity:2", now + timedelta(milliseconds=300))
        desk = Desk.open(store, FunctionGateway(linkedin.engage, linkedin.look), "desk-1")
        desk.work_until(lambda: {store.status("comment-1"), store.status("like-1")} == {"executed"})
        store.close()
    print(*linkedin.applied, sep="\n")
    return 0 if len(linkedin.applied) == len(set(linkedin.applied)) == linkedin.calls else 1


if __name__ == "__main__":
    sys.exit(main())
