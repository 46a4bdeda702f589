"""The closed list of events that telemetry receives."""

from __future__ import annotations

from enum import Enum

__all__ = ["Signal"]


class Signal(str, Enum):
    """The closed list of events. An event has a constant name and detail fields, and never a sentence as its name."""

    JOB_RECEIVED = "job_received"
    ACTIVITY_VALIDATED = "activity_validated"
    ACTIVITY_DEFERRED = "activity_deferred"
    ACTIVITY_DROPPED = "activity_dropped"
    COMMENT_PREPARED = "comment_prepared"
    CALL_STARTED = "call_started"
    CALL_ENDED = "call_ended"
    ERROR_CLASSIFIED = "error_classified"
    DATABASE_UPDATED = "database_updated"
    JOB_COMPLETED = "job_completed"
    ORPHAN_FOUND = "orphan_found"
    OUTCOME_RECONCILED = "outcome_reconciled"
    DEAD_LETTER = "dead_letter"
    ACCOUNT_RELEASED = "account_released"
    ACCOUNT_COOLED_DOWN = "account_cooled_down"
    ALERT = "alert"
    ALERT_RESOLVED = "alert_resolved"
    ALERT_UNDELIVERED = "alert_undelivered"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_REFUSED = "store_refused"
    STORE_RECOVERED = "store_recovered"
    QUEUE_UNAVAILABLE = "queue_unavailable"
    QUEUE_RECOVERED = "queue_recovered"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    WORKER_STARTED = "worker_started"
    WORKER_DRAINING = "worker_draining"
    WORKER_STOPPED = "worker_stopped"
    WORKER_LOST = "worker_lost"
    ROUND_FAILED = "round_failed"
    EXECUTION_FAILED = "execution_failed"
    METRICS_SERVED = "metrics_served"
    METRICS_UNAVAILABLE = "metrics_unavailable"
    LIBRARY_LOGGED = "library_logged"
    EXCEPTION_UNCAUGHT = "exception_uncaught"
