"""After an outage: what is too late to be sent is not, the rest is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.stage import Stage, stage_settings


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """One account."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox), sandbox=sandbox)
        here.add_account(1)
        here.add_account(2)
        yield here


def test_what_is_too_late_becomes_a_dead_letter_without_a_call(stage: Stage) -> None:
    """An hour's outage, ten minutes are the most: twenty are too late, ten are sent."""
    stage.settings = stage_settings(str(stage.settings.database_url), stage.sandbox, max_lateness=timedelta(minutes=10))
    stage.add_likes(1, 20, due_in=-3600)
    stage.add_likes(2, 10, due_in=-300)
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, 10)
        stage.wait_for(Signal.DEAD_LETTER, 20)
    assert sorted({each["account"] for each in stage.sandbox.ledger()["effects"]}) == ["unipile-2"]
    assert stage.sandbox.ledger()["requests"] == 10
    rows = stage.sql(
        "SELECT status, last_error ->> 'error_type', (last_error ->> 'will_retry')::bool, failure_count,"
        " executed_at IS NOT NULL, count(*) FROM pod_activities GROUP BY 1, 2, 3, 4, 5 ORDER BY 1"
    )
    assert rows == [("executed", None, None, 0, True, 10), ("failed", "too_late", False, 0, True, 20)]
    letters = "SELECT error_type, effect, count(*) FROM engagement_dead_letters WHERE closed_at IS NULL GROUP BY 1, 2"
    assert stage.sql(letters) == [("too_late", "none", 20)]
    assert stage.sql("SELECT count(*) FROM engagement_attempts WHERE account_id = 'account-1'") == [(0,)]
    assert stage.sql("SELECT incident, times FROM engagement_alerts WHERE state = 'raised'") == [
        ("dead_letter:too_late", 20)
    ]


def test_without_a_policy_everything_is_sent_however_late(stage: Stage) -> None:
    """Nobody has said that late is worse than never."""
    stage.add_likes(1, 5, due_in=-30 * 24 * 3600)
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, 5)
    assert stage.statuses() == {"executed": 5}
