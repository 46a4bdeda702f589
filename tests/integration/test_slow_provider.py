"""A provider that hangs or drips for one account: that costs the threads that wait for it, and nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.stage import Stage, stage_settings

pytestmark = pytest.mark.alone

STUCK, FREE, OTHERS = 3, 4, 60
JOB_TIMEOUT = timedelta(seconds=5)
"""Longer than everything else takes: what hangs does so throughout."""


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """An account that hangs, and another one; the provider takes 100 ms."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox, job_timeout=JOB_TIMEOUT), sandbox=sandbox)
        here.add_account(1)
        here.add_account(2)
        yield here


def seconds_for_the_others(stage: Stage, name: str, *, threads: int) -> float:
    """How long the other account's likes take, from their time to the last effect."""
    stage.settings = stage_settings(
        str(stage.settings.database_url), stage.sandbox, job_timeout=JOB_TIMEOUT, concurrency=threads
    )
    stage.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT %s || n, 'pod-2', 'like', %s || n, clock_timestamp() + interval '2 s' FROM generate_series(1, %s) n",
        *(name, name, OTHERS),
    )
    done = len(stage.telemetry.fields_of(Signal.JOB_COMPLETED))
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, done + OTHERS)
        ours = [each for each in stage.sandbox.ledger()["effects"] if each["post_id"].startswith(name)]
        stage.wait_for(Signal.CALL_ENDED, len(stage.telemetry.fields_of(Signal.CALL_STARTED)))
    ((due,),) = stage.sql(
        "SELECT extract(epoch FROM min(scheduled_for))::float8 FROM pod_activities WHERE id LIKE %s", f"{name}%"
    )
    assert len(ours) == OTHERS
    return float(max(each["at"] for each in ours) - due)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "hang"},
        {"action": "drip", "bytes_per_second": 5},
        {"action": "drip", "bytes_per_second": 5, "part": "body"},
    ],
    ids=["hang", "head", "body"],
)
def test_one_that_does_not_answer_holds_its_own_threads_only(stage: Stage, fault: dict[str, Any]) -> None:
    """With three of seven threads stuck, the other account goes as fast as with the four alone; at the deadline the
    stuck ones are free again, and their outcomes are unknown."""
    slow = {"action": "latency", "ms": 100}
    stage.sandbox.set_faults([slow])
    alone = seconds_for_the_others(stage, "alone-", threads=FREE)
    stage.sandbox.set_faults([{"match": {"account": "unipile-1"}, **fault}, slow])
    stage.add_likes(1, STUCK)
    beside = seconds_for_the_others(stage, "beside-", threads=FREE + STUCK)
    print(f"alone {alone:.2f} s, beside {beside:.2f} s, {alone / beside:.1%} of full speed")  # noqa: T201 - with -rP
    assert beside < alone * 1.5 + 0.5
    ended = stage.sql(
        "SELECT count(*), bool_and(phase = 'unknown'),"
        " bool_and(error ->> 'error_type' IN ('network_error', 'api_error'))"
        " FROM engagement_attempts WHERE account_id = 'account-1'"
    )
    assert ended == [(STUCK, True, True)]
    called = [
        float(str(told["duration_ms"]))
        for told in stage.telemetry.fields_of(Signal.CALL_ENDED)
        if str(told["activity_id"]).startswith("like-1-")
    ]
    assert all(duration <= JOB_TIMEOUT / timedelta(milliseconds=1) + 1_000 for duration in called)


def test_an_account_with_more_hanging_work_than_there_are_threads_does_not_have_them_all(stage: Stage) -> None:
    """Once it is known to be slow, others go out on time, in its second round too: it has half of the threads then."""
    stage.settings = stage_settings(
        str(stage.settings.database_url), stage.sandbox, job_timeout=JOB_TIMEOUT, concurrency=4
    )
    stage.sandbox.set_faults([{"match": {"account": "unipile-1"}, "action": "hang"}])
    stage.add_likes(1, 20)
    stage.add_likes(2, OTHERS, due_in=5, apart=0.15)
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, OTHERS)
    due = dict(stage.sql("SELECT post_id, extract(epoch FROM scheduled_for)::float8 FROM pod_activities"))
    late = [each["received_at"] - due[each["post_id"]] for each in stage.sandbox.ledger()["effects"]]
    assert len(late) == OTHERS
    print(f"the latest of {OTHERS}: {max(late):.3f} s")  # noqa: T201 - with -rP
    assert max(late) < JOB_TIMEOUT.total_seconds() / 3
