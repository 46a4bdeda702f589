"""Events become metrics: each name, each label from a closed list, and nothing asked of anybody at a scrape."""

from __future__ import annotations

import math

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from adapters.telemetry.metrics import METRICS, Kind
from adapters.telemetry.prometheus import PrometheusTelemetry
from engagement_core.model.gauges import Gauges
from engagement_core.model.signal import Signal
from support.builders import SECOND

_LEVELS = Gauges(
    due=7, runnable=5, oldest_due=3 * SECOND, unknown=2, oldest_unknown=90 * SECOND, dead_letters=4, workers_alive=3
)


@pytest.fixture
def metrics() -> PrometheusTelemetry:
    """Nothing has happened yet."""
    return PrometheusTelemetry()


def value(metrics: PrometheusTelemetry, name: str, **labels: str) -> float:
    """One sample of the page."""
    samples = [
        sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(samples) == 1, f"{name}{labels}: {len(samples)} samples"
    return float(samples[0])


def test_names_are_those_that_dashboards_and_rules_rely_on() -> None:
    """A name that changes is an alert that is silent for ever."""
    assert {metric.name for metric in METRICS} == {
        "engagement_executed_total",
        "engagement_errors_total",
        "engagement_attempts_total",
        "engagement_lateness_seconds",
        "engagement_execution_seconds",
        "engagement_api_call_seconds",
        "engagement_retries_total",
        "engagement_queue_depth",
        "engagement_due",
        "engagement_runnable",
        "engagement_oldest_due_seconds",
        "engagement_unknown",
        "engagement_oldest_unknown_seconds",
        "engagement_dead_letters",
        "engagement_breaker_state",
        "engagement_workers_alive",
    }


def test_every_series_is_there_before_anything_has_happened(metrics: PrometheusTelemetry) -> None:
    """Else the first failure would be no increase."""
    assert value(metrics, "engagement_errors_total", error_type="auth_error") == 0
    assert value(metrics, "engagement_executed_total", type="comment", provenance="reconciled") == 0
    assert value(metrics, "engagement_retries_total", attempt="4+", outcome="unknown") == 0
    assert value(metrics, "engagement_lateness_seconds_count") == 0
    assert b"_created" not in metrics.page()


def test_metrics_are_in_a_registry_of_their_own(metrics: PrometheusTelemetry) -> None:
    """Two in one process do not disturb each other, nor the library's global one."""
    metrics.emit(Signal.ERROR_CLASSIFIED, error_type="api_error")
    assert value(PrometheusTelemetry(), "engagement_errors_total", error_type="api_error") == 0
    assert not any(family.name.startswith("engagement") for family in REGISTRY.collect())


def test_successful_engagement_is_counted_and_timed(metrics: PrometheusTelemetry) -> None:
    """Milliseconds become seconds."""
    metrics.emit(Signal.CALL_STARTED, activity_id="a", attempt=1, lateness_ms=3.0)
    metrics.emit(Signal.CALL_ENDED, activity_id="a", attempt=1, outcome="applied", duration_ms=800.0)
    metrics.emit(Signal.DATABASE_UPDATED, engagement_type="like", verdict="executed", duration_ms=900.0)
    metrics.emit(Signal.JOB_COMPLETED, engagement_type="like", provenance="response", duration_ms=901.0)
    assert value(metrics, "engagement_executed_total", type="like", provenance="response") == 1
    assert value(metrics, "engagement_attempts_total", outcome="applied") == 1
    assert value(metrics, "engagement_lateness_seconds_sum") == pytest.approx(0.003)
    assert value(metrics, "engagement_api_call_seconds_sum") == pytest.approx(0.8)
    assert value(metrics, "engagement_execution_seconds_sum", type="like") == pytest.approx(0.9)
    assert value(metrics, "engagement_retries_total", attempt="2", outcome="applied") == 0


@pytest.mark.parametrize(("attempt", "label"), [(2, "2"), (3, "3"), (4, "4+"), (400, "4+")])
def test_retry_is_counted_by_its_number_and_what_came_of_it(
    metrics: PrometheusTelemetry, attempt: int, label: str
) -> None:
    """However often somebody requeues."""
    metrics.emit(Signal.CALL_ENDED, attempt=attempt, outcome="refused", duration_ms=1.0)
    assert value(metrics, "engagement_retries_total", attempt=label, outcome="refused") == 1


def test_call_that_the_breaker_did_not_let_through_says_nothing_about_the_provider(
    metrics: PrometheusTelemetry,
) -> None:
    """It is an attempt that was released, and no call."""
    metrics.emit(Signal.CALL_ENDED, attempt=1, outcome="released", duration_ms=0.1)
    assert value(metrics, "engagement_attempts_total", outcome="released") == 1
    assert value(metrics, "engagement_api_call_seconds_count") == 0


def test_what_a_read_back_finds_is_counted(metrics: PrometheusTelemetry) -> None:
    """As an engagement that happened, or as one that a person must settle."""
    metrics.emit(Signal.OUTCOME_RECONCILED, engagement_type="comment", verdict="executed")
    metrics.emit(Signal.OUTCOME_RECONCILED, engagement_type="comment", verdict="waits")
    metrics.emit(Signal.OUTCOME_RECONCILED, engagement_type="comment", verdict="buried", error_type="outcome_unknown")
    assert value(metrics, "engagement_executed_total", type="comment", provenance="reconciled") == 1
    assert value(metrics, "engagement_errors_total", error_type="outcome_unknown") == 1


def test_attempt_that_died_with_its_worker_is_lost(metrics: PrometheusTelemetry) -> None:
    """Only if it may have been sent; a claim that is released is nothing."""
    metrics.emit(Signal.ORPHAN_FOUND, activity_id="a", phase="scheduled")
    metrics.emit(Signal.ORPHAN_FOUND, activity_id="b", phase="unknown")
    assert value(metrics, "engagement_attempts_total", outcome="lost") == 1
    assert value(metrics, "engagement_errors_total", error_type="outcome_unknown") == 1


def test_label_that_nobody_knows_is_other(metrics: PrometheusTelemetry) -> None:
    """A thousand words of a provider are one series."""
    for number in range(1000):
        metrics.emit(Signal.ERROR_CLASSIFIED, error_type=f"new-{number}")
    assert value(metrics, "engagement_errors_total", error_type="other") == 1000
    assert len(metrics.page().splitlines()) < 250


def test_levels_are_shown_as_they_were_told(metrics: PrometheusTelemetry) -> None:
    """And what is not known is not zero."""
    metrics.show_levels(_LEVELS)
    metrics.show_queue_depth(11)
    shown = {
        "engagement_due": 7,
        "engagement_runnable": 5,
        "engagement_oldest_due_seconds": 3,
        "engagement_unknown": 2,
        "engagement_oldest_unknown_seconds": 90,
        "engagement_dead_letters": 4,
        "engagement_workers_alive": 3,
        "engagement_queue_depth": 11,
    }
    assert {name: value(metrics, name) for name in shown} == shown
    metrics.show_levels(None)
    metrics.show_queue_depth(None)
    assert all(math.isnan(value(metrics, name)) for name in shown)


@pytest.mark.parametrize(("state", "shown"), [("closed", 0), ("half-open", 1), ("open", 2)])
def test_breaker_is_asked_when_it_is_shown(metrics: PrometheusTelemetry, state: str, shown: int) -> None:
    """It may be open for five seconds only: no round would see that."""
    metrics.show_breaker(lambda: state)
    assert value(metrics, "engagement_breaker_state") == shown


def test_signal_that_is_no_metric_is_not_heard(metrics: PrometheusTelemetry) -> None:
    """Nor are fields that nobody expected."""
    before = [line for line in metrics.page().splitlines() if b"engagement" in line]
    metrics.emit(Signal.WORKER_STARTED, concurrency=5)
    metrics.emit(Signal.CALL_STARTED)
    assert [line for line in metrics.page().splitlines() if b"engagement" in line] == before


def test_every_metric_has_a_meaning_and_buckets_where_it_needs_some() -> None:
    """The reference page shows them."""
    for metric in METRICS:
        assert metric.meaning.endswith(".")
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
