"""Every row of the error taxonomy: from what the provider really answers, over real HTTP, to the database's row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from adapters.unipile.answers import ANSWERS
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from runners.bootstrap import App
from support.provider import free_port
from support.servers import ServerUrls, fresh_database
from support.stage import Stage, stage_settings


@dataclass(frozen=True)
class Ending:
    """What becomes of the activity: its public row, the phase of its attempt, and whether it may be sent again."""

    status: str
    phase: str
    will_retry: bool | None
    failures: int
    waits: bool = False


RETRIED = Ending("scheduled", "scheduled", will_retry=True, failures=1, waits=True)
UNKNOWN = Ending("scheduled", "unknown", will_retry=True, failures=0)
BURIED = Ending("failed", "failed", will_retry=False, failures=1)
DONE = Ending("executed", "executed", will_retry=None, failures=0)


@dataclass(frozen=True)
class Case:
    """One row: what is seen, what `last_error` calls it, what becomes of it, and what it does to the account."""

    seen: str
    action: dict[str, Any]
    error_type: str | None
    ending: Ending
    control: str | None = None
    kind: str = "like"


def answered(status: int, word: str | None, error_type: str | None, ending: Ending, **more: Any) -> Case:
    """The provider answers so, in the words of the dialect."""
    return Case(f"{status} {word}", {"action": "status", "status": status, "word": word}, error_type, ending, **more)


def _no(word: str) -> dict[str, Any]:
    """A friendly status, and a body that says no."""
    return {"action": "status", "status": 200, "body": {"success": False, "error": word}}


CASES = (
    answered(429, None, "rate_limit", RETRIED),
    answered(429, "errors/limit_exceeded", "rate_limit", RETRIED),
    answered(429, "provider/too_many_requests", "rate_limit", RETRIED),
    answered(429, "rate_limit_exceeded", "rate_limit", RETRIED),
    answered(429, "rate_limit", "rate_limit", RETRIED),
    answered(401, "auth_error", "auth_error", BURIED, control="hold"),
    answered(403, "profile_blocked", "profile_blocked", BURIED),
    answered(404, "post_not_found", "post_not_found", BURIED),
    Case("429 retry_after", {"action": "rate_limit", "retry_after": 60}, "rate_limit", RETRIED, control="cool_down"),
    answered(401, None, "auth_error", BURIED, control="hold"),
    answered(401, "errors/expired_credentials", "auth_error", BURIED, control="hold"),
    answered(401, "errors/disconnected_account", "auth_error", BURIED, control="hold"),
    answered(403, "errors/checkpoint_error", "auth_error", BURIED, control="hold"),
    answered(401, "provider/invalid_authorization", "auth_error", BURIED, control="hold"),
    answered(403, "errors/account_restricted", "profile_blocked", BURIED),
    answered(403, "errors/action_required", "profile_blocked", BURIED),
    answered(403, "errors/blocked_recipient", "profile_blocked", BURIED),
    answered(403, "errors/insufficient_permissions", "profile_blocked", BURIED),
    answered(404, None, "post_not_found", BURIED),
    answered(422, "errors/invalid_post", "post_not_found", BURIED),
    answered(404, "errors/resource_not_found", "post_not_found", BURIED),
    answered(422, "errors/invalid_resource_identifier", "post_not_found", BURIED),
    answered(422, "errors/action_already_performed", None, DONE),
    answered(422, "api/already_exists", None, DONE),
    answered(409, "errors/conflict", None, DONE),
    answered(409, None, "api_error", UNKNOWN),
    answered(409, "errors/account_busy", "api_error", UNKNOWN),
    answered(410, None, "post_not_found", BURIED),
    answered(422, "errors/action_already_performed", "api_error", UNKNOWN, kind="comment"),
    answered(409, None, "api_error", UNKNOWN, kind="comment"),
    answered(400, None, "api_error", BURIED),
    answered(403, None, "api_error", BURIED),
    answered(415, None, "api_error", BURIED),
    answered(422, None, "api_error", BURIED),
    answered(501, None, "api_error", BURIED),
    answered(503, "errors/no_client_session", "api_error", RETRIED),
    answered(503, "errors/no_channel", "api_error", RETRIED),
    answered(503, "errors/no_handler", "api_error", RETRIED),
    answered(500, None, "api_error", UNKNOWN),
    answered(502, None, "api_error", UNKNOWN),
    answered(503, None, "api_error", UNKNOWN),
    answered(504, None, "api_error", UNKNOWN),
    answered(500, "errors/network_down", "api_error", UNKNOWN),
    answered(504, "errors/proxy_timeout", "api_error", UNKNOWN),
    answered(504, "provider/timeout", "api_error", UNKNOWN),
    answered(502, "provider/server_error", "api_error", UNKNOWN),
    answered(418, None, "api_error", UNKNOWN),
    answered(302, None, "api_error", UNKNOWN),
    answered(499, "errors/nobody_knows_this", "api_error", UNKNOWN),
    *(
        Case(f"200 that says {word}", _no(word), error_type, ending, control=control)
        for word, error_type, ending, control in (
            ("rate_limit", "rate_limit", RETRIED, None),
            ("auth_error", "auth_error", BURIED, "hold"),
            ("profile_blocked", "profile_blocked", BURIED, None),
            ("post_not_found", "post_not_found", BURIED, None),
            ("nobody_knows_this", "api_error", UNKNOWN, None),
        )
    ),
    Case("reset after the request", {"action": "drop_before"}, "network_error", UNKNOWN),
    Case("reset after the effect", {"action": "apply_then_drop"}, "network_error", UNKNOWN),
    Case("no answer in time", {"action": "hang"}, "network_error", UNKNOWN),
    Case("a yes that cannot be read", {"action": "garbage_body"}, None, DONE),
    Case("a yes that cannot be read, comment", {"action": "garbage_body"}, None, DONE, kind="comment"),
)


@pytest.fixture(scope="module", params=["v0", "v1"])
def world(request: pytest.FixtureRequest, servers: ServerUrls, template_database: str) -> Iterator[tuple[Stage, App]]:
    """A provider of one dialect, and the executor; each case has an account and a post of its own."""
    with fresh_database(servers.database_url, template_database) as url, Sandbox() as sandbox:
        settings = stage_settings(
            url, sandbox, unipile_api_version=request.param, job_timeout=timedelta(milliseconds=700)
        )
        stage = Stage(settings=settings, sandbox=sandbox)
        for number in range(len(CASES)):
            stage.add_account(number)
        with stage.app() as app:
            yield stage, app


def as_fault(case: Case, dialect: str) -> dict[str, Any]:
    """The case as the sandbox's rule."""
    rule = dict(case.action)
    word = rule.pop("word", None)
    if word is not None and dialect == "v0":
        rule["body"] = {"error": word.rpartition("/")[2]}
    elif word is not None:
        rule["body"] = {"title": "No", "type": word, "status": rule["status"]}
    return rule


def add(stage: Stage, number: int, kind: str) -> str:
    """An activity of account so and so that is due."""
    key = f"case-{number}"
    stage.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
        " VALUES (%s, %s, %s, %s, 'Great post!', now())",
        *(key, f"pod-{number}", kind, f"post-{number}"),
    )
    return key


def ending_of(stage: Stage, key: str) -> tuple[str | None, Ending]:
    """What the database says became of it."""
    (row,) = stage.sql(
        "SELECT a.last_error ->> 'error_type', a.status, t.phase, (a.last_error ->> 'will_retry')::bool,"
        " a.failure_count, a.next_retry_at IS NOT NULL, a.executed_at IS NOT NULL"
        " FROM pod_activities a JOIN engagement_attempts t ON t.activity_id = a.id WHERE a.id = %s",
        key,
    )
    error_type, status, phase, will_retry, failures, waits, has_ended = row
    assert has_ended == (status != "scheduled")
    return error_type, Ending(status, phase, will_retry=will_retry, failures=failures, waits=waits)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.seen}, {case.kind}")
def test_answer_becomes_its_row(world: tuple[Stage, App], case: Case) -> None:
    """The activity's public columns, its attempt, and what it does to the account, and to that account alone."""
    stage, app = world
    number = CASES.index(case)
    stage.sandbox.set_faults([as_fault(case, stage.settings.unipile_api_version)])
    key = add(stage, number, case.kind)
    app.executor.execute(key)
    assert ending_of(stage, key) == (case.error_type, case.ending)
    blocked = [
        row[0] for row in stage.sql("SELECT kind FROM engagement_controls WHERE scope_id = %s", f"account-{number}")
    ]
    assert blocked == ([case.control] if case.control else [])
    letters = stage.sql("SELECT error_type FROM engagement_dead_letters WHERE activity_id = %s", key)
    assert letters == ([(case.error_type,)] if case.ending is BURIED else [])
    logged = [
        told["error_type"] for told in stage.telemetry.fields_of(Signal.DEAD_LETTER) if told["activity_id"] == key
    ]
    assert logged == ([case.error_type] if case.ending is BURIED else [])


def test_every_answer_that_is_known_is_tried_here() -> None:
    """Whoever adds a row to the gateway's table adds it here."""
    words = {case.action["word"].rpartition("/")[2] for case in CASES if case.action.get("word")}
    statuses = {case.action["status"] for case in CASES if "status" in case.action}
    assert {word for _, word in ANSWERS if word is not None} <= words
    assert {status for status, _ in ANSWERS if isinstance(status, int)} <= statuses
    assert {status for status, _ in ANSWERS if isinstance(status, str)} <= {f"{each // 100}xx" for each in statuses}


@pytest.mark.parametrize("dialect", ["v0", "v1"])
def test_what_cannot_be_sent_is_retried_freely(database_url: str, dialect: str) -> None:
    """Nobody listens: a network error that proves that nothing happened."""
    with Sandbox() as sandbox:
        settings = stage_settings(
            database_url, sandbox, unipile_api_version=dialect, unipile_base_url=f"http://127.0.0.1:{free_port()}"
        )
        stage = Stage(settings=settings, sandbox=sandbox)
        stage.add_account(1)
        with stage.app() as app:
            key = add(stage, 1, "like")
            app.executor.execute(key)
            assert ending_of(stage, key) == ("network_error", RETRIED)
