"""Every metric: its name, its meaning and the possible values of its labels. The reference page is made from this.

The one rule: a label's value comes from a closed list, or is `other`. The id of an activity, an account or a provider
never becomes a label: each new value would be a series that is kept for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Provenance
from engagement_core.model.errors import ErrorType
from engagement_core.model.gauges import MOST_COUNTED

__all__ = ["BREAKER_STATES", "METRICS", "OTHER", "Kind", "Metric"]

OTHER = "other"

BREAKER_STATES: Mapping[str, int] = MappingProxyType({"closed": 0, "half-open": 1, "open": 2})


class Kind(str, Enum):
    """Prometheus' own words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """`labels`: the values of each label, without `other`. `buckets` are upper bounds in seconds."""

    name: str
    kind: Kind
    meaning: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


_TYPES = tuple(each.value for each in EngagementType)
_PROVENANCES = tuple(each.value for each in Provenance if each is not Provenance.PERSON)
_ERROR_TYPES = tuple(each.value for each in ErrorType)
_OUTCOMES = ("applied", "refused", "unknown", "not_sent", "released", "lost")
_RETRIES = ("2", "3", "4+")
_LATENESS = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_DURATION = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60)
_MANY = f"Counted up to {MOST_COUNTED:,}; this value means that many or more."

METRICS: tuple[Metric, ...] = (
    Metric(
        name="engagement_executed_total",
        kind=Kind.COUNTER,
        meaning="Executed engagements, by provenance. Engagements that a person resolved are not counted.",
        labels={"type": _TYPES, "provenance": _PROVENANCES},
    ),
    Metric(
        name="engagement_errors_total",
        kind=Kind.COUNTER,
        meaning="Errors by type: of attempts, of activities that could not be tried, of unknown outcomes given up on.",
        labels={"error_type": _ERROR_TYPES},
    ),
    Metric(
        name="engagement_attempts_total",
        kind=Kind.COUNTER,
        meaning="Attempts to call the provider, by outcome of the call. `released`: the breaker was open,"
        " nothing was sent. `lost`: the worker died, the outcome is unknown.",
        labels={"outcome": _OUTCOMES},
    ),
    Metric(
        name="engagement_lateness_seconds",
        kind=Kind.HISTOGRAM,
        meaning="Time from when an attempt was due to the call of the provider.",
        buckets=_LATENESS,
    ),
    Metric(
        name="engagement_execution_seconds",
        kind=Kind.HISTOGRAM,
        meaning="Time from the wake-up to the committed verdict of an attempt, including voice and call.",
        labels={"type": _TYPES},
        buckets=_DURATION,
    ),
    Metric(
        name="engagement_api_call_seconds",
        kind=Kind.HISTOGRAM,
        meaning="How long the provider took to answer a call.",
        buckets=_DURATION,
    ),
    Metric(
        name="engagement_retries_total",
        kind=Kind.COUNTER,
        meaning="Attempts after an activity's first one, by number and by outcome of the call.",
        labels={"attempt": _RETRIES, "outcome": _OUTCOMES},
    ),
    Metric(
        name="engagement_queue_depth",
        kind=Kind.GAUGE,
        meaning="Jobs that are ready in Redis and not yet received by a worker; NaN while Redis does not answer,"
        " and always if there is no queue.",
    ),
    Metric(
        name="engagement_due",
        kind=Kind.GAUGE,
        meaning=f"Activities that are due and still wait, for whatever reason. {_MANY}",
    ),
    Metric(
        name="engagement_runnable",
        kind=Kind.GAUGE,
        meaning=f"Of the {MOST_COUNTED:,} that have been due for longest, those that nothing blocks: no pause, hold,"
        " cool-down or cap. Scale workers on it.",
    ),
    Metric(
        name="engagement_oldest_due_seconds",
        kind=Kind.GAUGE,
        meaning="How long the oldest due activity has waited; 0 if there is none.",
    ),
    Metric(
        name="engagement_unknown",
        kind=Kind.GAUGE,
        meaning=f"Attempts whose outcome is unknown. {_MANY}",
    ),
    Metric(
        name="engagement_oldest_unknown_seconds",
        kind=Kind.GAUGE,
        meaning="How long ago the oldest attempt with an unknown outcome was sent; 0 if there is none.",
    ),
    Metric(
        name="engagement_dead_letters",
        kind=Kind.GAUGE,
        meaning=f"Open dead letters. {_MANY}",
    ),
    Metric(
        name="engagement_breaker_state",
        kind=Kind.GAUGE,
        meaning="This worker's breaker: 0 closed, 1 half-open, 2 open.",
    ),
    Metric(
        name="engagement_workers_alive",
        kind=Kind.GAUGE,
        meaning="Workers alive, on all machines; NaN, like all counts from PostgreSQL, while that does not answer.",
    ),
)
