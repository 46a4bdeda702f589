"""docs/reference/json.md says what `status`, `explain` and `doctor` print, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.commands import Commands, add_rows, execute

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"
_BY_NAME_OF_AN_ERROR = {"dead_letters", "error_types"}
"""Objects whose keys are data."""


def documented(command: str) -> Any:
    """The example in the command's section."""
    section = _PAGE.read_text(encoding="utf-8").partition(f"## `engagement {command}")[2].partition("\n## ")[0]
    (example,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    return json.loads(example)


def shape(value: Any, name: str = "") -> Any:
    """Its fields; of a list, those of its first element. Null may be anything, so it is nothing in particular."""
    if isinstance(value, dict):
        return {} if name in _BY_NAME_OF_AN_ERROR else {key: shape(each, key) for key, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


@pytest.fixture
def engagement(database_url: str, redis_url: str) -> Commands:
    """A place where there is one of everything."""
    add_rows(database_url, "late", "sending", "unknown", "refused")
    execute(
        database_url,
        """
        INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,
               engagement_type, post_id, claimed_at, deadline_at, began_at, look_at, error) VALUES
            ('sending', 1, 'a', 'w', 'sending', 'begin_sending', 'unknown', 'acc-1', 'like', 'p', now(), now(), now(),
             NULL, NULL),
            ('unknown', 1, 'b', 'w', 'unknown', 'lose_track', 'unknown', 'acc-1', 'like', 'p', now(), now(), now(),
             now(), NULL),
            ('refused', 1, 'c', 'w', 'scheduled', 'refuse', 'none', 'acc-1', 'like', 'p', now(), now(), now(), NULL,
             '{"effect": "none", "cause": "rate_limited", "error_type": "rate_limit", "message": "m",
               "provider_status": 429, "provider_type": "t"}');
        INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at)
            VALUES ('gone', 'post_not_found', 'gone for good', 'none', 'look there', now());
        INSERT INTO engagement_controls (kind, scope, scope_id, until, reason)
            VALUES ('cool_down', 'account', 'acc-1', now() + interval '1 h', 'a 429');
        INSERT INTO linkedin_accounts (id, status) VALUES ('acc-4', 'expired');
        """,
    )
    return Commands(environ={"DATABASE_URL": database_url, "REDIS_URL": redis_url})


def test_status_has_the_documented_shape(engagement: Commands) -> None:
    """With something in every list."""
    assert shape(engagement.json("status")) == shape(documented("status"))


def test_explain_has_the_documented_shape(engagement: Commands) -> None:
    """With an attempt that the provider refused."""
    assert shape(engagement.json("explain", "refused")) == shape(documented("explain"))


def test_doctor_has_the_documented_shape(engagement: Commands) -> None:
    """Healthy or not."""
    told = json.loads(engagement("doctor", "--json").stdout)
    assert shape(told) == shape(documented("doctor"))


def test_status_names_what_runs_waits_fails_and_is_unknown(engagement: Commands) -> None:
    """By the activities' ids, on one screen, with the reason and the next step of what failed."""
    told = engagement.json("status")
    assert [each["activity_id"] for each in told["under_way"]] == ["sending"]
    assert [each["activity_id"] for each in told["unknown"]] == ["unknown"]
    assert {each["activity_id"] for each in told["late"]} == {"late", "refused"}
    assert [(each["activity_id"], each["message"]) for each in told["failed"]] == [("gone", "gone for good")]
    screen = engagement("status").stdout
    for words in ("Under way", "Unknown", "Late", "gone for good", "look there", "cool-down", "acc-4"):
        assert words in screen


def test_a_close_up_shows_the_first_ten(database_url: str, engagement: Commands) -> None:
    """However many there are; those that have waited longest."""
    execute(
        database_url,
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'old-' || n, 'pod-1', 'like', 'p', now() - n * interval '1 h' FROM generate_series(1, 30) n",
    )
    late = [each["activity_id"] for each in engagement.json("status")["late"]]
    assert late == [f"old-{n}" for n in range(30, 20, -1)]


def test_the_sql_for_another_service_works_as_it_is_written(database_url: str) -> None:
    """docs/how-to/connect-e-04.md: the row is taken, and its result is read."""
    page = _PAGE.parents[1] / "how-to" / "connect-e-04.md"
    insert, select = re.findall(r"<!-- sql -->\n```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    execute(database_url, insert)
    assert execute(database_url, select) == [("scheduled", None, None, None, None)]
