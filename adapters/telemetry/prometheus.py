"""Turns events into Prometheus metrics.

The one rule: it counts the events that it gets and shows the values that it was given, in a registry of its own. A
scrape asks no other system for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from adapters.telemetry.metrics import BREAKER_STATES, METRICS, OTHER, Kind, Metric
from engagement_core.model.gauges import Gauges
from engagement_core.model.lifecycle import Phase
from engagement_core.model.signal import Signal

__all__ = ["CONTENT_TYPE", "PrometheusTelemetry"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNKNOWN = float("nan")
_MANY_TRIES = 4


class PrometheusTelemetry:
    """Fills `engagement_core.ports.telemetry.Telemetry`; safe to use from several threads."""

    def __init__(self) -> None:
        # Otherwise each counter adds a second series with the time at which this process made it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {each.name: _made(each, self._registry) for each in METRICS}
        self._allowed = {each.name: each.labels for each in METRICS}
        ProcessCollector(registry=self._registry)
        self._hear: Mapping[Signal, Callable[[Mapping[str, object]], None]] = {
            Signal.CALL_STARTED: self._call_started,
            Signal.CALL_ENDED: self._call_ended,
            Signal.ERROR_CLASSIFIED: self._error_classified,
            Signal.DATABASE_UPDATED: self._database_updated,
            Signal.JOB_COMPLETED: self._job_completed,
            Signal.OUTCOME_RECONCILED: self._outcome_reconciled,
            Signal.ORPHAN_FOUND: self._orphan_found,
        }
        self.show_levels(None)
        self.show_queue_depth(None)

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        hear = self._hear.get(signal)
        if hear is not None:
            hear(fields)

    def show_levels(self, gauges: Gauges | None) -> None:
        """Set the gauges from PostgreSQL; None while it does not answer."""
        for name, value in _gauges(gauges).items():
            self._metrics[name].set(value)

    def show_queue_depth(self, depth: int | None) -> None:
        """Set the gauge from Redis; None while it does not answer."""
        self._metrics["engagement_queue_depth"].set(_UNKNOWN if depth is None else depth)

    def show_breaker(self, state: Callable[[], str]) -> None:
        """Ask `state` for the breaker's state at each scrape; it must read memory only."""
        self._metrics["engagement_breaker_state"].set_function(lambda: BREAKER_STATES.get(state(), _UNKNOWN))

    def page(self) -> bytes:
        """All metrics, as text of `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _call_started(self, fields: Mapping[str, object]) -> None:
        self._observe("engagement_lateness_seconds", fields.get("lateness_ms"))

    def _call_ended(self, fields: Mapping[str, object]) -> None:
        outcome = fields.get("outcome")
        self._count("engagement_attempts_total", outcome=outcome)
        attempt = fields.get("attempt")
        if isinstance(attempt, int) and attempt > 1:
            number = str(attempt) if attempt < _MANY_TRIES else f"{_MANY_TRIES}+"
            self._count("engagement_retries_total", attempt=number, outcome=outcome)
        if outcome != "released":
            self._observe("engagement_api_call_seconds", fields.get("duration_ms"))

    def _error_classified(self, fields: Mapping[str, object]) -> None:
        self._count("engagement_errors_total", error_type=fields.get("error_type"))

    def _database_updated(self, fields: Mapping[str, object]) -> None:
        self._observe("engagement_execution_seconds", fields.get("duration_ms"), type=fields.get("engagement_type"))

    def _job_completed(self, fields: Mapping[str, object]) -> None:
        self._count(
            "engagement_executed_total", type=fields.get("engagement_type"), provenance=fields.get("provenance")
        )

    def _outcome_reconciled(self, fields: Mapping[str, object]) -> None:
        if fields.get("verdict") == "executed":
            self._count("engagement_executed_total", type=fields.get("engagement_type"), provenance="reconciled")
        if fields.get("verdict") == "buried":
            self._error_classified(fields)

    def _orphan_found(self, fields: Mapping[str, object]) -> None:
        if fields.get("phase") == Phase.UNKNOWN.value:
            self._count("engagement_attempts_total", outcome="lost")
            self._count("engagement_errors_total", error_type="outcome_unknown")

    def _count(self, name: str, **labels: object) -> None:
        self._of(name, labels).inc()

    def _observe(self, name: str, milliseconds: object, **labels: object) -> None:
        if isinstance(milliseconds, (int, float)):
            self._of(name, labels).observe(milliseconds / 1000)

    def _of(self, name: str, labels: Mapping[str, object]) -> Any:
        if not labels:
            return self._metrics[name]
        allowed = self._allowed[name]
        return self._metrics[name].labels(
            **{label: value if value in allowed[label] else OTHER for label, value in labels.items()}
        )


def _made(metric: Metric, registry: CollectorRegistry) -> Any:
    names = tuple(metric.labels)
    if metric.kind is Kind.GAUGE:
        return Gauge(metric.name, metric.meaning, registry=registry)
    if metric.kind is Kind.HISTOGRAM:
        made: Any = Histogram(metric.name, metric.meaning, names, registry=registry, buckets=metric.buckets)
    else:
        made = Counter(metric.name, metric.meaning, names, registry=registry)
    # A series that begins at its first event shows no increase then, so the first failure would stay invisible.
    for values in product(*metric.labels.values()) if names else ():
        made.labels(*values)
    return made


def _gauges(gauges: Gauges | None) -> dict[str, float]:
    if gauges is None:
        return dict.fromkeys(_OF_THE_STORE, _UNKNOWN)
    oldest_due, oldest_unknown = gauges.oldest_due, gauges.oldest_unknown
    values = (
        gauges.due,
        gauges.runnable,
        oldest_due.total_seconds() if oldest_due else 0,
        gauges.unknown,
        oldest_unknown.total_seconds() if oldest_unknown else 0,
        gauges.dead_letters,
        gauges.workers_alive,
    )
    return dict(zip(_OF_THE_STORE, values, strict=True))


_OF_THE_STORE = (
    "engagement_due",
    "engagement_runnable",
    "engagement_oldest_due_seconds",
    "engagement_unknown",
    "engagement_oldest_unknown_seconds",
    "engagement_dead_letters",
    "engagement_workers_alive",
)
