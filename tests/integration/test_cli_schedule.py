"""`engagement schedule`: one activity or a million, all or nothing."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis

from adapters.rq.queue import RqQueue
from engagement_core.model.job import WakeUp
from support.commands import Commands, execute, started
from support.queues import receive_one

ONE = ("schedule", "--pod", "pod-1", "--type", "like", "--post", "urn:li:activity:1")
NOTHING_LISTENS = "redis://:geheim@127.0.0.1:1/0"


@pytest.fixture
def engagement(database_url: str, redis_url: str) -> Commands:
    """The commands, with both servers."""
    return Commands(environ={"DATABASE_URL": database_url, "REDIS_URL": redis_url})


def rows(database_url: str) -> list[tuple[Any, ...]]:
    """The rows of the table."""
    return execute(
        database_url,
        "SELECT id, pod_id, engagement_type, post_id, profile_id, comment_text, status FROM pod_activities ORDER BY id",
    )


def line(**changes: Any) -> str:
    """One line of a file, due in an hour and a half."""
    at = (datetime.now(timezone.utc) + timedelta(minutes=90)).isoformat()
    like = {"pod_id": "pod-1", "engagement_type": "like", "post_id": "p", "scheduled_for": at}
    return json.dumps({**like, **changes}) + "\n"


def test_one_activity_is_due_now_and_rings(engagement: Commands, database_url: str, redis_url: str) -> None:
    """The command prints only its id."""
    result = engagement(*ONE)
    (row,) = rows(database_url)
    assert (result.exit_code, result.stdout) == (0, f"{row[0]}\n")
    assert row[1:] == ("pod-1", "like", "urn:li:activity:1", None, None, "scheduled")
    queue = RqQueue(redis_url)
    received = receive_one(queue, timedelta(0))
    queue.close()
    assert isinstance(received, WakeUp)
    assert received.activity_id == row[0]


def test_every_option_is_a_column(engagement: Commands, database_url: str) -> None:
    """A comment is stored exactly as given."""
    told = engagement.json(
        *("schedule", "--pod", "pod-1", "--type", "comment", "--post", "p", "--profile", "profile-1"),
        *("--text", "Great post!", "--at", "2030-03-15T14:30:00+01:00", "--id", "mine"),
    )
    assert told == {"version": 1, "added": 1, "ids": ["mine"]}
    assert rows(database_url) == [("mine", "pod-1", "comment", "p", "profile-1", "Great post!", "scheduled")]
    at = datetime(2030, 3, 15, 13, 30, tzinfo=timezone.utc)
    assert execute(database_url, "SELECT scheduled_for FROM pod_activities") == [(at,)]


def test_a_time_can_be_so_long_from_now(engagement: Commands, database_url: str, redis_url: str) -> None:
    """What is due within the hour also waits in Redis; what is due later, only in PostgreSQL."""
    for name, at in (("soon", "+5m"), ("late", "+2h")):
        assert engagement(*ONE, "--id", name, "--at", at).exit_code == 0
    waits = execute(database_url, "SELECT id, extract(epoch FROM scheduled_for - now()) FROM pod_activities")
    assert {name: round(float(seconds) / 60) for name, seconds in waits} == {"soon": 5, "late": 120}
    with Redis.from_url(redis_url) as client:
        assert client.zrange("rq:scheduler:scheduled_jobs", 0, -1) == [b"soon"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--pod", "p"), "--type, --post: needed for one activity"),
        ((*ONE[1:], "--text", "Hello"), "--text: a like cannot have a text"),
        ((*ONE[1:], "--type", "comment"), "--text: it is empty"),
        (
            (*ONE[1:], "--type", "comment", "--text", "x" * 1251),
            "--text: it has 1251 characters; the provider takes 1250",
        ),
        ((*ONE[1:], "--post", " "), "--post: it is empty"),
        ((*ONE[1:], "--type", "share"), "'share' is not one of 'like', 'comment'"),
        ((*ONE[1:], "--at", "tomorrow"), "Invalid value for '--at': 'tomorrow': it is not a time"),
        ((*ONE[1:], "--at", "2030-03-15T14:30:00"), "it names no time zone"),
        ((*ONE[1:], "--at", "+999999999d"), "that is beyond the calendar"),
        (("--from-file", "-", "--pod", "p"), "--pod does not go with --from-file"),
        (("--from-file", "nowhere.jsonl"), "No such file"),
    ],
)
def test_wrong_options_are_told_before_anything_is_connected(arguments: tuple[str, ...], told: str) -> None:
    """The message names the option."""
    assert told in Commands().refused("schedule", *arguments)


def test_an_id_that_is_taken_is_named(engagement: Commands, database_url: str) -> None:
    """The operation fails; the row that was there stays."""
    engagement(*ONE, "--id", "mine")
    assert engagement.refused(*ONE, "--id", "mine", "--pod", "other", code=1) == "id: mine is in pod_activities already"
    assert [row[1] for row in rows(database_url)] == ["pod-1"]


def test_a_file_of_json_lines_is_scheduled(engagement: Commands, database_url: str, tmp_path: Path) -> None:
    """The ids are printed, in order."""
    file = tmp_path / "activities.jsonl"
    file.write_text(line(id="b") + "\n" + line(id="a", engagement_type="comment", comment_text="Zwei\nZeilen\t\\N"))
    assert engagement("schedule", "--from-file", str(file)).stdout == "b\na\n"
    assert [row[5] for row in rows(database_url)] == ["Zwei\nZeilen\t\\N", None]


def test_a_file_of_csv_is_scheduled(engagement: Commands, database_url: str, tmp_path: Path) -> None:
    """An empty cell is no value."""
    file = tmp_path / "ACTIVITIES.CSV"
    file.write_text(
        "id,pod_id,engagement_type,post_id,profile_id,comment_text,scheduled_for\n"
        'a,pod-1,comment,p,,"Great, really!",2030-03-15T14:30:00Z\n'
    )
    assert engagement("schedule", "--from-file", str(file)).exit_code == 0
    assert rows(database_url) == [("a", "pod-1", "comment", "p", None, "Great, really!", "scheduled")]


def test_standard_input_is_a_file(engagement: Commands, database_url: str) -> None:
    """JSON Lines, unless `--format` names another format."""
    assert engagement("schedule", "--from-file", "-", stdin=line(id="a").encode()).stdout == "a\n"
    csv = b"id,pod_id,engagement_type,post_id,scheduled_for\nb,pod-1,like,p,2030-03-15T14:30:00Z\n"
    assert engagement("schedule", "--from-file", "-", "--format", "csv", stdin=csv).stdout == "b\n"
    assert engagement("schedule", "--from-file", "-", stdin=b"").stdout == "There was nothing to schedule.\n"
    assert len(rows(database_url)) == 2


def test_many_are_counted_instead_of_named(engagement: Commands, tmp_path: Path) -> None:
    """The JSON still has their ids."""
    file = tmp_path / "activities.ndjson"
    file.write_text("".join(line() for _ in range(21)))
    assert engagement("schedule", "--from-file", str(file)).stdout == "21 activities scheduled.\n"
    assert len(set(engagement.json("schedule", "--from-file", str(file))["ids"])) == 21


@pytest.mark.parametrize(
    ("last", "told", "code"),
    [
        (line(comment_text="x"), "line 3: comment_text: a like cannot have a text", 2),
        (line(scheduled_for="2030-03-15T14:30:00"), "line 3: scheduled_for: it names no time zone", 2),
        (line(pot_id="x"), "line 3: pot_id: there is no such column", 2),
        ('{"pod_id": ', "line 3: it is not JSON", 2),
        (line(id="a"), "line 3: id: a comes twice", 1),
        (line(id="there"), "line 3: id: there is in pod_activities already", 1),
    ],
)
def test_one_bad_line_and_nothing_is_written(
    *, engagement: Commands, database_url: str, tmp_path: Path, last: str, told: str, code: int
) -> None:
    """The message names the file, the line and the field."""
    engagement(*ONE, "--id", "there")
    file = tmp_path / "activities.jsonl"
    file.write_text(line(id="a") + "\n" + last)
    message = engagement.refused("schedule", "--from-file", str(file), code=code)
    assert message.startswith(f"{file}, {told}")
    assert message.endswith(". Nothing was added.")
    assert [row[0] for row in rows(database_url)] == ["there"]


def test_a_name_that_says_no_format_is_asked_about(tmp_path: Path) -> None:
    """The command does not guess from the contents."""
    (tmp_path / "activities.txt").write_text(line())
    assert "add --format" in Commands().refused("schedule", "--from-file", str(tmp_path / "activities.txt"))


@pytest.mark.parametrize("redis", [NOTHING_LISTENS, None])
def test_without_redis_it_is_scheduled_with_one_warning(database_url: str, redis: str | None, tmp_path: Path) -> None:
    """The sweep finds an activity without a job."""
    file = tmp_path / "activities.jsonl"
    file.write_text("".join(line(scheduled_for="2020-01-01T00:00:00Z") for _ in range(5)))
    environ = {"DATABASE_URL": database_url} | ({"REDIS_URL": redis} if redis else {})
    result = Commands(environ=environ)("schedule", "--from-file", str(file))
    assert result.exit_code == 0
    assert result.stderr.count("Warning: ") == 1
    assert "sweep" in result.stderr
    assert "geheim" not in result.stderr
    assert len(rows(database_url)) == 5


def test_ids_of_type_uuid_work_as_well(engagement: Commands, database_url: str, tmp_path: Path) -> None:
    """If E-03 made the column a uuid. An id that is no UUID is reported with its line."""
    execute(database_url, "ALTER TABLE pod_activities ALTER COLUMN id TYPE uuid USING id::uuid")
    assert engagement(*ONE).exit_code == 0
    file = tmp_path / "activities.jsonl"
    file.write_text(line() + line(id="a-1"))
    told = engagement.refused("schedule", "--from-file", str(file), code=1)
    assert ", line 2: id: invalid input syntax for type uuid" in told
    assert len(rows(database_url)) == 1


def test_a_hundred_thousand_lines_need_neither_much_memory_nor_much_time(database_url: str, tmp_path: Path) -> None:
    """The lines go one by one into one COPY: all at once would need twice the memory."""
    file = tmp_path / "activities.jsonl"
    template = line(id="a-%06d", engagement_type="comment", comment_text="What a wonderful post!")
    file.write_text("".join(template % number for number in range(100_000)))
    began = time.monotonic()
    with started("schedule", "--from-file", str(file), environ={"DATABASE_URL": database_url}) as process:
        peak = peak_memory(process)
        output, errors = process.communicate()
    assert (process.returncode, output) == (0, "100000 activities scheduled.\n"), errors
    assert time.monotonic() - began < 120
    assert peak < 90_000_000
    assert execute(database_url, "SELECT count(*) FROM pod_activities") == [(100_000,)]


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The peak memory of the process in bytes, measured until it ends."""
    peak = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):
            peak = max(peak, watched.memory_info().rss)
        with suppress(psutil.TimeoutExpired):
            watched.wait(0.05)
    return peak
