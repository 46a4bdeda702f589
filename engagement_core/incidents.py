"""When an incident begins and when it is over.

The one rule: it is pure. Any number of workers may judge the same signs at once; what they say is the same, and raising
what is open, or resolving what is over, changes nothing. An incident ends by a margin, so that it does not begin again
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from engagement_core.ports.activities import RaiseAlert
from engagement_core.ports.alerts import IncidentKind, OpenIncident
from engagement_core.ports.vital_signs import VitalSigns

__all__ = ["IncidentPolicy", "Judgement", "Over", "breaker_open", "judge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentPolicy:
    """From where on something is an incident.

    More than `most_waiting` activities or jobs wait; more than `error_rate` of at least `fewest_attempts` attempts of
    the last `attempts_of` failed; an outcome is unknown for `unknown_for`. A backlog and an error rate are over at half
    of that. An account that met its limit is believed to be well again after `limit_for`, a breaker to be closed when
    nobody has found it open for `breaker_for`, a host to be stable when it has lost no worker for `stable_after`.
    Whatever only a person can end is not waited for any longer than `at_most`.
    """

    most_waiting: int = 1_000
    error_rate: float = 0.10
    fewest_attempts: int = 20
    attempts_of: timedelta = timedelta(minutes=5)
    unknown_for: timedelta = timedelta(hours=1)
    limit_for: timedelta = timedelta(hours=1)
    breaker_for: timedelta = timedelta(minutes=1)
    stable_after: timedelta = timedelta(minutes=5)
    at_most: timedelta = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Over:
    """An incident that has ended; `message` says why, for people."""

    incident: OpenIncident
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What is to be told."""

    raised: tuple[RaiseAlert, ...] = ()
    over: tuple[Over, ...] = ()


def judge(signs: VitalSigns, *, waiting: int, policy: IncidentPolicy) -> Judgement:
    """What has begun and what has ended.

    Args:
        signs: what the database says. A silent worker is news only if it has been silent for long enough to be lost.
        waiting: how many activities or jobs could be executed now and are not; counted to `most_waiting` + 1 at least.
        policy: from where on something is an incident.
    """
    view = _View(signs=signs, waiting=waiting, policy=policy)
    is_open = {incident.incident for incident in signs.open_incidents}
    conditions = (view.queue_depth(), view.error_rate(), view.unknown_outcome())
    begun = (alert for alert in conditions if alert is not None and alert.incident not in is_open)
    return Judgement(raised=(*begun, *view.lost_workers()), over=tuple(view.over()))


def breaker_open(held_back: timedelta) -> RaiseAlert:
    """The provider is given a rest for `held_back`. To be raised whenever it is seen: that keeps the incident open."""
    return _alert(
        IncidentKind.BREAKER_OPEN,
        f"The provider has failed repeatedly: no call is made for {held_back.total_seconds():.0f} s, then one tries.",
        "Check the provider's status page and UNIPILE_DSN; what is due waits, uncharged, and goes out by itself.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """The signs, while they are judged."""

    signs: VitalSigns
    waiting: int
    policy: IncidentPolicy

    def queue_depth(self) -> RaiseAlert | None:
        if self.waiting <= self.policy.most_waiting:
            return None
        return _alert(
            IncidentKind.QUEUE_DEPTH,
            f"More than {self.policy.most_waiting} activities are due and wait for a worker.",
            "Look at `engagement status`; start more workers, or raise POD_ENGAGEMENT_WORKER_CONCURRENCY.",
        )

    def error_rate(self) -> RaiseAlert | None:
        attempts, failed = self.signs.attempts, self._failed
        if attempts < self.policy.fewest_attempts or failed <= attempts * self.policy.error_rate:
            return None
        most_frequent = max(self.signs.errors, key=lambda error_type: self.signs.errors[error_type])
        minutes = self.policy.attempts_of / timedelta(minutes=1)
        return _alert(
            IncidentKind.ERROR_RATE,
            f"{failed} of {attempts} attempts of the last {minutes:.0f} min failed, most of them with {most_frequent}.",
            "Look at `engagement status` and `engagement dead-letters list`; `engagement pause --all` stops all.",
        )

    def unknown_outcome(self) -> RaiseAlert | None:
        oldest = self.signs.oldest_unknown
        if oldest is None or self._unknown_for < self.policy.unknown_for:
            return None
        return _alert(
            IncidentKind.UNKNOWN_OUTCOME,
            f"Whether activity {oldest.activity_id} was executed has been unknown for {_length(self._unknown_for)}.",
            f"Look at the post and at `engagement explain {oldest.activity_id}`: it is not sent again before that is"
            " known, and becomes a dead letter a day after it was sent.",
            activity_id=oldest.activity_id,
        )

    def lost_workers(self) -> Iterator[RaiseAlert]:
        for worker in self.signs.silent:
            if worker.is_news:
                yield _alert(
                    IncidentKind.WORKER_LOST,
                    f"Worker {worker.worker_id} stopped without a word at {worker.beat_at:%Y-%m-%d %H:%M:%S} UTC."
                    " What it held is settled by the others.",
                    f"Look at its log and at the memory of {worker.host}; start it again if nobody does.",
                    subject=worker.host,
                )

    def over(self) -> Iterator[Over]:
        for incident in self.signs.open_incidents:
            ends = _ENDS.get(incident.kind)
            why = ends(self, incident) if ends is not None else None
            if why is not None:
                yield Over(incident=incident, message=self._notice(incident, why))

    def depth_is_over(self, _: OpenIncident) -> str | None:
        return "The backlog is down to half." if self.waiting <= self.policy.most_waiting / 2 else None

    def rate_is_over(self, _: OpenIncident) -> str | None:
        is_over = self._failed <= self.signs.attempts * self.policy.error_rate / 2
        return f"{self._failed} of the latest {self.signs.attempts} attempts failed." if is_over else None

    def unknown_is_over(self, _: OpenIncident) -> str | None:
        if self.signs.oldest_unknown is not None and self._unknown_for >= self.policy.unknown_for:
            return None
        return f"No outcome has been unknown for {_length(self.policy.unknown_for)}."

    def loss_is_over(self, incident: OpenIncident) -> str | None:
        lost = [worker for worker in self.signs.silent if worker.host == incident.subject]
        if self._quiet(incident) < self.policy.stable_after or any(worker.replaced_by is None for worker in lost):
            return None
        return f"{lost[0].replaced_by} works in its place." if lost else "It is back, or missed no longer."

    def breaker_is_over(self, incident: OpenIncident) -> str | None:
        return "The provider is being called again." if self._quiet(incident) > self.policy.breaker_for else None

    def hold_is_over(self, incident: OpenIncident) -> str | None:
        return None if incident.subject in self.signs.held else f"Account {incident.subject} is not held any more."

    def limit_is_over(self, incident: OpenIncident) -> str | None:
        if incident.subject in self.signs.recovered:
            return f"Account {incident.subject} has executed something since."
        if self._quiet(incident) > self.policy.limit_for:
            return f"Account {incident.subject} has met no limit for {_length(self.policy.limit_for)}."
        return None

    def letters_are_over(self, incident: OpenIncident) -> str | None:
        if incident.subject not in self.signs.buried:
            return f"No dead letter of type {incident.subject} is open."
        return self.is_forgotten(incident)

    def is_forgotten(self, incident: OpenIncident) -> str | None:
        is_old = self._quiet(incident) > self.policy.at_most
        return f"It has not happened for {_length(self.policy.at_most)}." if is_old else None

    def _notice(self, incident: OpenIncident, why: str) -> str:
        lasted = _length(self.signs.seen_at - incident.raised_at)
        often = f", {incident.times} times" if incident.kind in _COUNTED and incident.times > 1 else ""
        return f"Resolved after {lasted}{often}: {incident.incident}. {why}"

    def _quiet(self, incident: OpenIncident) -> timedelta:
        return self.signs.seen_at - incident.last_at

    @property
    def _failed(self) -> int:
        return sum(self.signs.errors.values())

    @property
    def _unknown_for(self) -> timedelta:
        oldest = self.signs.oldest_unknown
        return self.signs.seen_at - oldest.since if oldest else timedelta(0)


_ENDS: Mapping[str, Callable[[_View, OpenIncident], str | None]] = MappingProxyType(
    {
        IncidentKind.AUTH_ERROR: _View.hold_is_over,
        IncidentKind.RATE_LIMIT: _View.limit_is_over,
        IncidentKind.DEAD_LETTER: _View.letters_are_over,
        IncidentKind.UNREADABLE_PAYLOAD: _View.is_forgotten,
        IncidentKind.QUEUE_DEPTH: _View.depth_is_over,
        IncidentKind.ERROR_RATE: _View.rate_is_over,
        IncidentKind.WORKER_LOST: _View.loss_is_over,
        IncidentKind.BREAKER_OPEN: _View.breaker_is_over,
        IncidentKind.UNKNOWN_OUTCOME: _View.unknown_is_over,
    }
)
# Of the others, being raised again says only that somebody looked again.
_COUNTED = frozenset(
    {
        IncidentKind.AUTH_ERROR,
        IncidentKind.RATE_LIMIT,
        IncidentKind.DEAD_LETTER,
        IncidentKind.UNREADABLE_PAYLOAD,
        IncidentKind.WORKER_LOST,
    }
)


def _alert(
    kind: IncidentKind, what: str, next_step: str, *, subject: str = "", activity_id: str | None = None
) -> RaiseAlert:
    return RaiseAlert(
        incident=kind.about(subject) if subject else kind.value,
        kind=kind.value,
        message=f"{what} Next: {next_step}",
        activity_id=activity_id,
        next_step=next_step,
    )


def _length(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
