"""How an answer of the provider's gets into the database.

The one rule: nothing that is raised on the way loses the answer. What cannot be recorded now is kept, in this process
and, as far as the database takes that, beside its attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engagement_core.decisions.claim import Claimed
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.decision import Decision
from engagement_core.model.outcome import Outcome
from engagement_core.model.provider import Answer
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_refusal
from engagement_core.use_cases.pending_decisions import PendingDecisions, write_instead
from engagement_core.use_cases.refused_writes import keep_answer

__all__ = ["Recorder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorder:
    """Records verdicts. Safe to use from several threads."""

    store: ActivityStore
    telemetry: Telemetry
    pending: PendingDecisions
    policy: RetryPolicy

    def record(
        self, claimed: Claimed, answer: Answer, later: Callable[[Outcome], None]
    ) -> Callable[[], Outcome | None]:
        """Have it decided what the answer means, and written down. The function that is returned waits for that, and
        must be called; it returns None if the answer is kept. Neither raises.

        Args:
            claimed: what was sent.
            answer: what came back.
            later: hears the outcome once the database has taken an answer that was kept.
        """
        decide = partial(decide_verdict, attempt=claimed.attempt, answer=answer, policy=self.policy)
        wait = self.store.submit(claimed.activity.id, decide)
        return partial(self._recorded, claimed, answer, decide, later, wait)

    def _recorded(
        self,
        claimed: Claimed,
        answer: Answer,
        decide: Callable[[Snapshot], Decision[Outcome]],
        later: Callable[[Outcome], None],
        wait: Callable[[], Outcome],
    ) -> Outcome | None:
        try:
            verdict = wait()
        except StoreRefused as error:
            self._keep(claimed, answer, decide, later, error)
            return None
        except StoreUnavailable as error:
            self.pending.add(claimed.activity.id, decide, later, kind=answer.kind)
            self.telemetry.emit(Signal.STORE_UNAVAILABLE, **claimed.identity, message=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - see the module's rule
            what = type(error).__name__
            self._keep(claimed, answer, decide, later, StoreRefused(f"{what}: {error}", code=what))
            return None
        self.pending.accepted(answer.kind)
        return verdict

    def _keep(
        self,
        claimed: Claimed,
        answer: Answer,
        decide: Callable[[Snapshot], Decision[Outcome]],
        later: Callable[[Outcome], None],
        refused: StoreRefused,
    ) -> None:
        def instead(refusal: StoreRefused) -> Callable[[Snapshot], Decision[None]]:
            stops = self.pending.stops_sending
            return partial(keep_answer, attempt=claimed.attempt, answer=answer, refused=refusal, stops=stops)

        activity_id = claimed.activity.id
        self.pending.add(activity_id, decide, later, kind=answer.kind, instead=instead, refused=refused)
        emit_refusal(self.telemetry, refused, **claimed.identity, stops_sending=self.pending.stops_sending)
        write_instead(self.store, activity_id, instead, refused)
