"""The vital signs of the in-memory store.

The one rule: like the real reader it decides nothing; it says what the dictionaries hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, ControlKind
from engagement_core.model.errors import ErrorType
from engagement_core.model.incident import IncidentKind, OpenIncident
from engagement_core.model.incident_facts import IncidentFacts, OldestUnknown, SilentWorker
from engagement_core.model.lifecycle import Event, Phase
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryIncidentFacts"]

_A_DAY = timedelta(days=1)
_UNJUDGED = (Phase.CLAIMED, Phase.SENDING)


@dataclass(frozen=True, kw_only=True)
class InMemoryIncidentFacts:
    """Fills `engagement_core.ports.incident_facts.IncidentFactsReader`. A worker's host is its name up to a colon.

    `started_at` says when workers started; one that is not in it started with its last beat.
    """

    store: InMemoryActivityStore
    silent_for: timedelta = timedelta(seconds=6)
    started_at: Mapping[str, datetime] = field(default_factory=dict)

    def read(self, *, attempts_of: timedelta) -> IncidentFacts:
        """See the port."""
        now = self.store.now()
        incidents = self._open_incidents()
        recent = [each for each in self._attempts() if each.began_at is not None and each.began_at > now - attempts_of]
        judged = [each for each in recent if each.phase not in _UNJUDGED and each.event is not Event.RELEASE]
        return IncidentFacts(
            seen_at=now,
            open_incidents=incidents,
            attempts=len(judged),
            errors=Counter(_error_type(each) for each in judged if each.phase is not Phase.EXECUTED),
            oldest_unknown=self._oldest_unknown(),
            silent=self._silent(now),
            held=self._held(now) & {each.subject for each in incidents if each.kind == IncidentKind.AUTH_ERROR},
            recovered=frozenset(
                each.subject
                for each in incidents
                if each.kind == IncidentKind.RATE_LIMIT and self._executed_since(each)
            ),
            buried=frozenset(letter.error_type.value for letter in self.store.dead_letters.values())
            & {each.subject for each in incidents if each.kind == IncidentKind.DEAD_LETTER},
        )

    def _attempts(self) -> list[Attempt]:
        return [attempt for attempts in self.store.attempts.values() for attempt in attempts.values()]

    def _open_incidents(self) -> tuple[OpenIncident, ...]:
        return tuple(
            OpenIncident(
                incident=incident,
                kind=alert.kind,
                activity_id=alert.activity_id,
                times=len(self.store.raised[incident]),
                raised_at=self.store.raised[incident][0],
                last_at=self.store.raised[incident][-1],
            )
            for incident, alert in sorted(self.store.alerts.items())
        )

    def _oldest_unknown(self) -> OldestUnknown | None:
        unknown = [(each.began_at, each.activity_id) for each in self._attempts() if each.phase is Phase.UNKNOWN]
        since, activity_id = min(((at, key) for at, key in unknown if at is not None), default=(None, ""))
        return None if since is None else OldestUnknown(activity_id=activity_id, since=since)

    def _silent(self, now: datetime) -> tuple[SilentWorker, ...]:
        return tuple(
            SilentWorker(
                worker_id=worker,
                host=_host(worker),
                beat_at=beat_at,
                replaced_by=self._replacement(beat_at, now),
                is_news=not any(
                    at > beat_at for at in self.store.raised.get(IncidentKind.WORKER_LOST.about(_host(worker)), ())
                ),
            )
            for worker, beat_at in self.store.beats.items()
            if now - _A_DAY < beat_at < now - self.silent_for
        )

    def _replacement(self, beat_at: datetime, now: datetime) -> str | None:
        living = [worker for worker, at in self.store.beats.items() if at > now - self.silent_for]
        return next((each for each in living if self.started_at.get(each, self.store.beats[each]) > beat_at), None)

    def _held(self, now: datetime) -> frozenset[str]:
        return frozenset(
            control.scope_id
            for control in self.store.controls
            if control.kind is ControlKind.HOLD
            and control.scope is BlockScope.ACCOUNT
            and (control.until is None or control.until > now)
        )

    def _executed_since(self, incident: OpenIncident) -> bool:
        return any(
            each.account_id == incident.subject
            and each.phase is Phase.EXECUTED
            and each.began_at is not None
            and each.began_at > incident.last_at
            for each in self._attempts()
        )


def _error_type(attempt: Attempt) -> str:
    return str((attempt.error or {}).get("error_type", ErrorType.OUTCOME_UNKNOWN.value))


def _host(worker_id: str) -> str:
    return worker_id.partition(":")[0]
