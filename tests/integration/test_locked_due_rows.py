"""A due activity whose row somebody else keeps locked waits for that, and nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.stage import Stage, stage_settings

LOCKED, OTHERS = 12, 20


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """Two accounts."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox, concurrency=5), sandbox=sandbox)
        here.add_account(1)
        here.add_account(2)
        yield here


def test_twelve_locked_rows_delay_nobody_and_are_executed_later(stage: Stage, database_url: str) -> None:
    """More than there are threads, and due before the others. It is no outage of the database."""
    stage.add_likes(1, LOCKED, due_in=-60)
    stage.add_likes(2, OTHERS, due_in=-30)
    with closing(psycopg2.connect(database_url)) as somebody, somebody.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pod_activities WHERE id LIKE 'like-1-%' FOR UPDATE")
        with stage.working():
            began = time.monotonic()
            stage.until(lambda: stage.statuses().get("executed", 0) >= OTHERS)
            assert time.monotonic() - began < 8
            somebody.rollback()
            stage.until(lambda: stage.statuses() == {"executed": LOCKED + OTHERS})
    assert stage.sandbox.ledger()["duplicates"] == []
    assert stage.telemetry.fields_of(Signal.STORE_UNAVAILABLE) == []
