"""What each event means, how loud it is, and what it carries: the reference page and the log both read it here.

The one rule: a signal that is not in this table cannot be logged, so that none is undocumented.
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
    """`level` is a number of `logging`; `fields` are those that it may carry besides the ones that are bound."""

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
            _INFO, "Execution starts: the activity is due, well formed, admitted and claimed.", *_WHO
        ),
        Signal.ACTIVITY_DEFERRED: _event(
            _DEBUG, "It was not executed now, and will be looked at again.", *_WHO, "reason", "duration_ms"
        ),
        Signal.ACTIVITY_DROPPED: _event(
            _DEBUG, "There was nothing (more) to do for this wake-up.", *_WHO, "reason", "duration_ms"
        ),
        Signal.COMMENT_PREPARED: _event(
            _DEBUG,
            "A comment has its words; a warning when the voice failed and the original is used.",
            *(*_WHO, "ahead", "used_voice", "fell_back", "reason", "duration_ms"),
        ),
        Signal.CALL_STARTED: _event(_INFO, "The provider is called, this long after it was due.", *_WHO, "lateness_ms"),
        Signal.CALL_ENDED: _event(
            _INFO,
            "The provider's answer: `applied`, `refused`, `unknown`, `not_sent`, or `released` by the breaker.",
            *(*_WHO, "outcome", "engagement_id", "created_at", "provider_status", "provider_type", "duration_ms"),
        ),
        Signal.ERROR_CLASSIFIED: _event(
            _WARNING, "An error, and what follows from it ([the errors](errors.md)).", *_WHO, *_FAILURE
        ),
        Signal.DATABASE_UPDATED: _event(
            _INFO, "The verdict is committed; so long after the wake-up.", *_WHO, "verdict", "duration_ms"
        ),
        Signal.JOB_COMPLETED: _event(
            _INFO, "Execution ends: the engagement has happened.", *_WHO, "provenance", "duration_ms"
        ),
        Signal.DEAD_LETTER: _event(
            _WARNING,
            "It failed for good; a person decides what is next.",
            *(*_WHO, "error_type", "message", "duration_ms"),
        ),
        Signal.ORPHAN_FOUND: _event(
            _WARNING,
            "An attempt whose worker is gone: released (`scheduled`), or looked for at the provider (`unknown`).",
            *("activity_id", "attempt", "pod_id", "phase", "reason"),
        ),
        Signal.OUTCOME_RECONCILED: _event(
            _INFO, "An unknown outcome was looked for.", *_WHO, "verdict", "error_type", "reason"
        ),
        Signal.ACCOUNT_RELEASED: _event(
            _INFO, "The provider says that a held account can act again.", "account_id", "probes"
        ),
        Signal.ACCOUNT_COOLED_DOWN: _event(
            _WARNING, "An account met one server error after the other, and waits.", "account_id", "until", "reason"
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
            _WARNING, "The webhook did not take an alert; it is sent again.", "alert", "kind", "message"
        ),
        Signal.STORE_UNAVAILABLE: _event(_ERROR, "PostgreSQL did not do its part.", *_WHO, "message"),
        Signal.STORE_REFUSED: _event(
            _ERROR,
            "PostgreSQL is there and refuses a write, in its words; what was to be recorded is kept, and tried again.",
            *(*_WHO, "account_id", "message", "code", "stops_sending"),
        ),
        Signal.STORE_RECOVERED: _event(_INFO, "PostgreSQL is back."),
        Signal.QUEUE_UNAVAILABLE: _event(_WARNING, "Redis did not do its part; the sweep goes on.", "message"),
        Signal.QUEUE_RECOVERED: _event(_INFO, "Redis is back."),
        Signal.PAYLOAD_UNREADABLE: _event(
            _WARNING, "A job names no activity; it lies in the dead-letter queue.", "job", "reason"
        ),
        Signal.WORKER_STARTED: _event(_INFO, "The worker begins.", "concurrency", "burst"),
        Signal.WORKER_DRAINING: _event(_INFO, "It claims nothing new.", "grace_s"),
        Signal.WORKER_STOPPED: _event(
            _INFO, "It has ended; `finished` says whether all that was in flight did.", "finished"
        ),
        Signal.WORKER_LOST: _event(_ERROR, "Another worker stopped without a word.", "lost", "replaced_by"),
        Signal.ROUND_FAILED: _event(_ERROR, "A defect in a round; it comes again.", "round", "message"),
        Signal.EXECUTION_FAILED: _event(
            _ERROR, "A defect met by one activity or account; the others go on.", "activity_id", "account_id", "message"
        ),
        Signal.METRICS_SERVED: _event(
            _INFO, "Metrics and health are served here ([monitor](../how-to/monitor.md)).", "address"
        ),
        Signal.METRICS_UNAVAILABLE: _event(
            _WARNING, "They are not, because the port is taken; it is tried again. Engagements go on.", "message"
        ),
        Signal.LIBRARY_LOGGED: _event(
            _WARNING, "A library's own line: from warnings on, all of them at debug.", "logger", "message", "exception"
        ),
        Signal.EXCEPTION_UNCAUGHT: _event(_ERROR, "A defect ended a thread or the process.", "thread", "exception"),
    }
)


def level_of(signal: Signal, fields: Mapping[str, object]) -> int:
    """How loud: a voice that failed is heard of although the comment is sent."""
    if signal is Signal.COMMENT_PREPARED and fields.get("fell_back"):
        return logging.WARNING
    return EVENTS[signal].level
