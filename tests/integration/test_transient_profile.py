"""The specification's success metrics at a provider that is now and then unwell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.stage import Stage, stage_settings

ACCOUNTS, EACH = 30, 10


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """Thirty accounts with ten likes each."""
    with Sandbox() as sandbox:
        settings = stage_settings(database_url, sandbox, concurrency=10, job_timeout=timedelta(seconds=1))
        here = Stage(settings=settings, sandbox=sandbox)
        for number in range(ACCOUNTS):
            here.add_account(number)
            here.add_likes(number, EACH)
        yield here


def test_one_in_ten_fails_and_nearly_all_are_executed(stage: Stage, seed: int) -> None:
    """Limits, sessions that are missing and lost connections: over 95 % executed, and of those activities that met an
    error at least 70 % at the second or third attempt, or by reading back; none twice."""

    def sometimes(probability: float) -> dict[str, object]:
        return {"probability": probability, "seed": seed % 1000}

    stage.sandbox.set_faults(
        [
            {"match": sometimes(0.03), "action": "rate_limit", "retry_after": 0.1},
            {"match": sometimes(0.04), "action": "status", "status": 503, "body": {"type": "errors/no_client_session"}},
            {"match": sometimes(0.015), "action": "drop_before"},
            {"match": sometimes(0.015), "action": "apply_then_drop"},
        ]
    )
    total = ACCOUNTS * EACH
    with stage.working():
        stage.until(lambda: "scheduled" not in stage.statuses(), patience=40)
    executed = stage.statuses().get("executed", 0)
    assert executed > 0.95 * total
    ((met_an_error, resolved),) = stage.sql(
        "SELECT count(*), count(*) FILTER (WHERE a.status = 'executed' AND (t.attempts BETWEEN 2 AND 3 OR t.found))"
        " FROM pod_activities a JOIN (SELECT activity_id, count(*) AS attempts, bool_or(error IS NOT NULL) AS failed,"
        "  bool_or(event = 'find_present') AS found FROM engagement_attempts WHERE event <> 'release'"
        "  GROUP BY 1) t ON t.activity_id = a.id WHERE t.failed"
    )
    assert met_an_error >= 0.02 * total
    assert resolved >= 0.7 * met_an_error
    assert stage.sandbox.ledger()["duplicates"] == []
    assert len(stage.sandbox.ledger()["effects"]) == executed
    assert len(stage.telemetry.fields_of(Signal.DEAD_LETTER)) == total - executed
