"""Triggers and rewrite rules of others on `pod_activities`: the doctor names them and, if asked to, tries them."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg2
import pytest

from support.commands import Commands, add_rows, execute


def _trigger(body: str, when: str = "BEFORE UPDATE", name: str = "theirs") -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;"
        f"CREATE TRIGGER {name} {when} ON pod_activities FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _findings(database_url: str, *options: str) -> dict[str, dict[str, str]]:
    told = json.loads(Commands(environ={"DATABASE_URL": database_url})("doctor", "--json", *options).stdout)
    return {each["name"]: each for each in told["findings"]}


def test_a_trigger_that_a_write_sets_off_is_named(database_url: str) -> None:
    """When it runs, what it calls, and how to learn what it does."""
    execute(database_url, _trigger("", "AFTER INSERT OR UPDATE"))
    found = _findings(database_url)
    assert found["triggers"]["level"] == "warning"
    assert "trigger theirs: AFTER INSERT OR UPDATE, function theirs" in found["triggers"]["says"]
    assert "--try-write" in found["triggers"]["cure"]
    assert "dry run" not in found


def test_a_rewrite_rule_is_named_like_a_trigger(database_url: str) -> None:
    """It replaces the write, or adds to it."""
    execute(database_url, "CREATE RULE theirs AS ON UPDATE TO pod_activities DO INSTEAD NOTHING")
    found = _findings(database_url)["triggers"]
    assert (found["level"], "rule theirs: ON UPDATE DO INSTEAD" in found["says"]) == ("warning", True)


@pytest.mark.parametrize(
    "spoil",
    [
        _trigger("", "AFTER INSERT OR DELETE"),
        _trigger("", "BEFORE UPDATE OF post_id"),
        _trigger("") + "; ALTER TABLE pod_activities DISABLE TRIGGER theirs",
        _trigger("") + "; ALTER TABLE pod_activities ENABLE REPLICA TRIGGER theirs",
    ],
    ids=["other events", "other columns", "disabled", "on replicas"],
)
def test_a_trigger_that_no_write_of_ours_sets_off_is_well(database_url: str, spoil: str) -> None:
    """It is named all the same."""
    execute(database_url, spoil)
    found = _findings(database_url)["triggers"]
    assert (found["level"], "trigger theirs" in found["says"]) == ("ok", True)


def test_a_trigger_of_a_partition_is_named_too_and_a_clone_once(empty_database_url: str) -> None:
    """The executor writes through the whole table."""
    execute(
        empty_database_url,
        "CREATE TABLE pod_activities (id text PRIMARY KEY, pod_id text, engagement_type text, post_id text,"
        " profile_id text, comment_text text, scheduled_for timestamptz, status text) PARTITION BY HASH (id);"
        "CREATE TABLE part PARTITION OF pod_activities FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        + _trigger("", name="of_all")
        + ";"
        + _trigger("", name="of_one").replace("ON pod_activities", "ON part"),
    )
    says = _findings(empty_database_url)["triggers"]["says"]
    assert (says.count("trigger of_all:"), says.count("trigger of_one:")) == (1, 1)


# What a trigger or a rule may do to a write, with what is said of it.
_HARMFUL = {
    "refuses": (
        _trigger("IF NEW.status = 'executed' THEN RAISE 'executed is ours to say'; END IF;"),
        "an executed like is refused: executed is ours to say",
    ),
    "tells too much": (
        _trigger("PERFORM pg_notify('changes', row_to_json(NEW)::text);", "AFTER UPDATE"),
        "an executed comment is refused: payload string too long",
    ),
    "swallows": (
        _trigger("IF NEW.status = 'failed' THEN RETURN NULL; END IF;"),
        "a failure is refused: the write changed no row",
    ),
    "changes it": (
        _trigger("NEW.status := OLD.status;"),
        "an executed like leaves the status scheduled",
    ),
    "refuses at the commit": (
        _trigger("IF NEW.status = 'executed' THEN RAISE 'too late for that'; END IF;", "AFTER UPDATE").replace(
            "CREATE TRIGGER theirs AFTER UPDATE ON pod_activities",
            "CREATE CONSTRAINT TRIGGER theirs AFTER UPDATE ON pod_activities DEFERRABLE INITIALLY DEFERRED",
        ),
        "an executed like is refused: too late for that",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), _HARMFUL.values(), ids=_HARMFUL.keys())
def test_what_a_trigger_does_to_a_write_is_found_by_trying(database_url: str, spoil: str, told: str) -> None:
    """In the database's words; and the row is what it was, to its last version."""
    add_rows(database_url, "a-1")
    execute(database_url, "UPDATE pod_activities SET comment_text = repeat('\U0001f389', 1250)")
    execute(database_url, spoil)
    before = execute(database_url, "SELECT xmin::text, a::text FROM pod_activities a")
    found = _findings(database_url, "--try-write")["dry run"]
    assert (found["level"], told in found["says"]) == ("failed", True), found["says"]
    assert execute(database_url, "SELECT xmin::text, a::text FROM pod_activities a") == before


def test_a_trigger_that_lets_every_write_pass_is_well_once_it_was_tried(database_url: str) -> None:
    """Then there is nothing to warn of."""
    add_rows(database_url, "a-1", status="executed")
    execute(database_url, _trigger("NEW.post_id := OLD.post_id;"))
    found = _findings(database_url, "--try-write")
    assert (found["triggers"]["level"], found["dry run"]["level"]) == ("ok", "ok")
    assert "tried on a-1" in found["dry run"]["says"]


def test_a_row_that_somebody_has_locked_is_left_alone(database_url: str) -> None:
    """Nobody is waited for: neither for the row nor for the table."""
    add_rows(database_url, "a-1")
    for statement in ("SELECT 1 FROM pod_activities FOR UPDATE", "LOCK TABLE pod_activities IN EXCLUSIVE MODE"):
        with closing(psycopg2.connect(database_url)) as other:
            other.cursor().execute(statement)
            found = _findings(database_url, "--try-write")["dry run"]
        assert (found["level"], found["says"].startswith("not checked: ")) == ("skipped", True)


def test_without_a_row_there_is_nothing_to_try_it_on(database_url: str) -> None:
    """No row is made for it."""
    found = _findings(database_url, "--try-write")["dry run"]
    assert (found["level"], "no row that is free" in found["says"]) == ("skipped", True)
