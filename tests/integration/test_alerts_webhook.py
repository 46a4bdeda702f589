"""The whole worker: a webhook that hangs does not disturb it, and it watches by itself."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta

import psycopg2
import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from fakes.telemetry import InMemoryTelemetry
from runners.process import working
from runners.settings import Settings

_ACTIVITIES = 100
_PATIENCE = 30.0


@contextmanager
def silent_webhook() -> Iterator[tuple[str, socket.socket]]:
    """It accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(_PATIENCE)
        yield f"http://127.0.0.1:{silent.getsockname()[1]}/geheim", silent


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    """One statement."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def is_done(telemetry: InMemoryTelemetry) -> bool:
    """Every activity has been executed."""
    return telemetry.wait_for(
        lambda told: sum(each.signal is Signal.JOB_COMPLETED for each in told) == _ACTIVITIES, _PATIENCE
    )


@pytest.mark.alone
@pytest.mark.parametrize("hangs", [True, False], ids=["hanging webhook", "no webhook"])
def test_hundred_activities_go_out_once_and_on_time(database_url: str, redis_url: str, hangs: bool) -> None:
    """While an alert is stuck at the webhook: the same bounds hold with and without it."""
    sql(
        database_url,
        "INSERT INTO pods VALUES ('pod', NULL, 'account');"
        "INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('account', 'unipile');"
        "INSERT INTO engagement_alerts (incident, kind, message) VALUES ('k', 'k', 'stuck')",
    )
    telemetry = InMemoryTelemetry()
    with ExitStack() as kept, silent_webhook() as (url, silent), Sandbox() as sandbox:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            unipile_api_key="key",
            unipile_base_url=sandbox.url,
            unipile_api_version="v1",
            alert_webhook_url=url if hangs else None,
            shutdown_grace=timedelta(seconds=5),
        )
        with working(settings, telemetry) as (_, worker):
            worker.start()
            if hangs:
                kept.enter_context(silent.accept()[0])
            sql(
                database_url,
                "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
                " SELECT 'a-' || n, 'pod', 'like', 'post-' || n, now() + interval '1 s' + n * interval '20 ms'"
                f" FROM generate_series(1, {_ACTIVITIES}) n",
            )
            assert is_done(telemetry)
        effects = Counter(effect["post_id"] for effect in sandbox.ledger()["effects"])
    assert effects == Counter({f"post-{number}": 1 for number in range(1, _ACTIVITIES + 1)})
    lateness = sorted(float(str(told["lateness_ms"])) for told in telemetry.fields_of(Signal.CALL_STARTED))
    assert lateness[_ACTIVITIES // 2] < 1_000, lateness
    assert sql(database_url, "SELECT delivered_at IS NULL FROM engagement_alerts") == [(hangs,)]
    assert [told["message"] for told in telemetry.fields_of(Signal.ALERT)] == ["stuck"]
    assert "geheim" not in str(telemetry.told)


def test_worker_watches_by_itself(database_url: str, redis_url: str) -> None:
    """It tells of its predecessor's end, and of a provider that answers nothing but 500."""
    sql(
        database_url,
        "INSERT INTO pods VALUES ('pod', NULL, 'account');"
        "INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('account', 'unipile');"
        "INSERT INTO engagement_workers (worker_id, host, pid, concurrency, beat_at)"
        " VALUES ('predecessor', 'host', 1, 1, now() - interval '1 minute');"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'a-' || n, 'pod', 'like', 'post-' || n, now() FROM generate_series(1, 30) n",
    )
    telemetry = InMemoryTelemetry()
    with Sandbox(faults=[{"match": {}, "action": "status", "status": 500}]) as sandbox:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            unipile_api_key="key",
            unipile_base_url=sandbox.url,
            unipile_api_version="v1",
        )
        with working(settings, telemetry) as (_, worker):
            worker.start()
            kinds = {"worker_lost", "breaker_open"}
            assert telemetry.wait_for(
                lambda told: kinds <= {each.fields["kind"] for each in told if each.signal is Signal.ALERT}, _PATIENCE
            )
