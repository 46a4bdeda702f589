"""Each event's meaning, level and fields. The reference page and the log are both made from this table.

The one rule: a signal that is not in this table cannot be logged, so every event is documented.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engagement_core.model.signal import Signal

__all__ = ["EVENTS", "Event", "level_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """`level` is a number of `logging`.
    `fields` are the fields that the event may have, in addition to the bound ones."""

    level: int
    meaning: str
    fields: tuple[str, ...]


_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_WHO = ("activity_id", "attempt", "pod_id", "engagement_type")
_FAILURE = ("error_type", "effect", "cause", "message")


def _event(level: int, meaning: str, *fields: str) -> Event:
    return Event(level=level, meaning=meaning, fields=fields)


EVENTS: Mapping[Signal, Event] = MappingProxyType(
    {
        Signal.JOB_RECEIVED: _event(_INFO, "A job rang for an activity.", "activity_id", "job"),
        Signal.ACTIVITY_VALIDATED: _event(
            _INFO, "Execution begins: the activity is due, well formed, admitted and claimed.", *_WHO
        ),
        Signal.ACTIVITY_DEFERRED: _event(
            _DEBUG, "The activity was not executed now. It will be checked again.", *_WHO, "reason", "duration_ms"
        ),
        Signal.ACTIVITY_DROPPED: _event(
            _DEBUG, "This wake-up needs no work (any more).", *_WHO, "reason", "duration_ms"
        ),
        Signal.COMMENT_PREPARED: _event(
            _DEBUG,
            "A comment's text is ready. A warning if the voice failed and the original text is used.",
            *(*_WHO, "ahead", "used_voice", "fell_back", "reason", "duration_ms"),
        ),
        Signal.CALL_STARTED: _event(
            _INFO,
            "The call of the provider begins. `lateness_ms` is the time since it was due.",
            *_WHO,
            "lateness_ms",
        ),
        Signal.CALL_ENDED: _event(
            _INFO,
            "The provider's answer: `applied`, `refused`, `unknown`, `not_sent`, or `released` by the breaker.",
            *(*_WHO, "outcome", "engagement_id", "created_at", "provider_status", "provider_type", "duration_ms"),
        ),
        Signal.ERROR_CLASSIFIED: _event(
            _WARNING, "An error, and its consequence ([the errors](errors.md)).", *_WHO, *_FAILURE
        ),
        Signal.DATABASE_UPDATED: _event(
            _INFO,
            "The verdict is committed. `duration_ms` is the time since the wake-up.",
            *_WHO,
            "verdict",
            "duration_ms",
        ),
        Signal.JOB_COMPLETED: _event(
            _INFO, "Execution ends: the engagement was executed.", *_WHO, "provenance", "duration_ms"
        ),
        Signal.DEAD_LETTER: _event(
            _WARNING,
            "The activity failed for good. A person must decide what happens next.",
            *(*_WHO, "error_type", "message", "duration_ms"),
        ),
        Signal.ORPHAN_FOUND: _event(
            _WARNING,
            "An attempt has lost its worker. It is released (`scheduled`), or must be reconciled (`unknown`).",
            *("activity_id", "attempt", "pod_id", "phase", "reason"),
        ),
        Signal.OUTCOME_RECONCILED: _event(
            _INFO,
            "The executor has tried to settle an unknown outcome. `verdict` is the result.",
            *_WHO,
            "verdict",
            "error_type",
            "reason",
        ),
        Signal.ACCOUNT_RELEASED: _event(
            _INFO, "The provider says that a held account can act again.", "account_id", "probes"
        ),
        Signal.ACCOUNT_COOLED_DOWN: _event(
            _WARNING,
            "An account got one server error after the other. It waits until `until`.",
            "account_id",
            "until",
            "reason",
        ),
        Signal.ALERT: _event(
            _ERROR,
            "An incident has begun ([alerts](alerts.md)).",
            *("activity_id", "kind", "incident", "message", "raised_at"),
        ),
        Signal.ALERT_RESOLVED: _event(
            _INFO, "An incident is over.", "activity_id", "kind", "incident", "message", "raised_at"
        ),
        Signal.ALERT_UNDELIVERED: _event(
            _WARNING, "The webhook did not accept an alert. The alert will be sent again.", "alert", "kind", "message"
        ),
        Signal.STORE_UNAVAILABLE: _event(_ERROR, "PostgreSQL could not be used. `message` says why.", *_WHO, "message"),
        Signal.STORE_REFUSED: _event(
            _ERROR,
            "PostgreSQL answers and refuses a write; `message` has its words. The write is kept and tried again.",
            *(*_WHO, "account_id", "message", "code", "stops_sending"),
        ),
        Signal.STORE_RECOVERED: _event(_INFO, "PostgreSQL works again."),
        Signal.QUEUE_UNAVAILABLE: _event(_WARNING, "Redis could not be used. The sweep goes on without it.", "message"),
        Signal.QUEUE_RECOVERED: _event(_INFO, "Redis works again."),
        Signal.PAYLOAD_UNREADABLE: _event(
            _WARNING, "A job names no activity. It was moved to the dead-letter queue.", "job", "reason"
        ),
        Signal.WORKER_STARTED: _event(_INFO, "The worker starts.", "concurrency", "burst"),
        Signal.WORKER_DRAINING: _event(_INFO, "The worker drains: it claims nothing new.", "grace_s"),
        Signal.WORKER_STOPPED: _event(
            _INFO, "The worker has ended. `finished` says whether all work in flight ended, too.", "finished"
        ),
        Signal.WORKER_LOST: _event(
            _ERROR, "Another worker died: it stopped beating without leaving.", "lost", "replaced_by"
        ),
        Signal.ROUND_FAILED: _event(
            _ERROR, "A defect in a periodic task. The task will run again.", "round", "message"
        ),
        Signal.EXECUTION_FAILED: _event(
            _ERROR,
            "A defect stopped the work on one activity or account. The others go on.",
            "activity_id",
            "account_id",
            "message",
        ),
        Signal.METRICS_SERVED: _event(
            _INFO, "Metrics and health are served here ([monitor](../how-to/monitor.md)).", "address"
        ),
        Signal.METRICS_UNAVAILABLE: _event(
            _WARNING,
            "Metrics and health are not served, because the port is taken. The worker tries again. Engagements go on.",
            "message",
        ),
        Signal.LIBRARY_LOGGED: _event(
            _WARNING,
            "A library's own log line: from warnings on, or every line at debug.",
            "logger",
            "message",
            "exception",
        ),
        Signal.EXCEPTION_UNCAUGHT: _event(_ERROR, "A defect ended a thread or the process.", "thread", "exception"),
    }
)


def level_of(signal: Signal, fields: Mapping[str, object]) -> int:
    """The level of one event: a failed voice gives a warning, although the comment is sent."""
    if signal is Signal.COMMENT_PREPARED and fields.get("fell_back"):
        return logging.WARNING
    return EVENTS[signal].level
