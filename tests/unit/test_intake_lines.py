"""Files of activities: what is read, and how errors are reported."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO

import pytest

from adapters.files.activities import ActivityLines
from adapters.files.instant import parse_instant
from adapters.files.lines import LineProblem, Record, read_csv, read_json_lines
from engagement_core.model.activity import EngagementType
from engagement_core.model.new_activity import NewActivity

LIKE = {
    "id": "a-1",
    "pod_id": "pod-1",
    "engagement_type": "like",
    "post_id": "urn:li:activity:1",
    "scheduled_for": "2030-03-15T14:30:00Z",
}
AT = datetime(2030, 3, 15, 14, 30, tzinfo=timezone.utc)


def read(content: str | bytes, reader: Callable[[BinaryIO], Iterator[Record]] = read_json_lines) -> list[NewActivity]:
    """The activities of a file with this content."""
    raw = content.encode() if isinstance(content, str) else content
    return list(ActivityLines(reader(io.BytesIO(raw)), new_id=lambda: "new"))


def problem(content: str | bytes, reader: Callable[[BinaryIO], Iterator[Record]] = read_json_lines) -> str:
    """The error of the file; there must be one."""
    with pytest.raises(LineProblem) as caught:
        read(content, reader)
    return str(caught.value)


def line(**changes: Any) -> str:
    """A correct line with changes. A field that is changed to ... is left out."""
    return json.dumps({name: value for name, value in {**LIKE, **changes}.items() if value is not ...}) + "\n"


def test_a_line_of_json_is_an_activity() -> None:
    """Every column that E-03 fills."""
    assert read(line(engagement_type="comment", comment_text="Great post!", profile_id="p-1", status="scheduled")) == [
        NewActivity(
            id="a-1",
            pod_id="pod-1",
            engagement_type=EngagementType.COMMENT,
            post_id="urn:li:activity:1",
            profile_id="p-1",
            comment_text="Great post!",
            scheduled_for=AT,
        )
    ]


def test_what_has_no_id_gets_one() -> None:
    """The id is left out, or null."""
    assert [each.id for each in read(line(id=...) + line(id=None) + line(id="mine"))] == ["new", "new", "mine"]


def test_blank_lines_and_a_byte_order_mark_are_no_activities() -> None:
    """Blank lines do not disturb the line numbers."""
    assert len(read("\ufeff" + line() + "\n  \n" + line())) == 2
    assert problem("\n\n" + line(pod_id=None)).startswith("line 3: pod_id")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pod_id": ...}, "pod_id: it is missing"),
        ({"post_id": None}, "post_id: it is missing"),
        ({"post_id": "  "}, "post_id: it is empty"),
        ({"post_id": "x" * 501}, "post_id: it has more than 500 characters"),
        ({"post_id": "\ud800"}, "post_id: it has control characters"),
        ({"pod_id": 7}, "pod_id: it must be a text"),
        ({"engagement_type": "share"}, "engagement_type: it must be like or comment"),
        ({"engagement_type": "Like"}, "engagement_type: it must be like or comment"),
        ({"comment_text": "Hello"}, "comment_text: a like cannot have a text"),
        ({"engagement_type": "comment"}, "comment_text: it is empty"),
        (
            {"engagement_type": "comment", "comment_text": "x" * 1251},
            "comment_text: it has 1251 characters; the provider takes 1250",
        ),
        ({"status": "executed"}, "status: it must be scheduled"),
        ({"scheduled_for": ...}, "scheduled_for: it is missing"),
        ({"scheduled_for": None}, "scheduled_for: it is missing"),
        ({"scheduled_for": 1900000000}, "scheduled_for: it must be a text like 2030-03-15T14:30:00Z"),
        ({"scheduled_for": "tomorrow"}, "scheduled_for: it is not a time like 2030-03-15T14:30:00Z"),
        (
            {"scheduled_for": "2030-03-15T14:30:00"},
            "scheduled_for: it names no time zone: add Z for UTC, or an offset like +02:00",
        ),
        (
            {"schedule_for": "x", "pot_id": "x"},
            "pot_id: there is no such column; schedule_for: there is no such column",
        ),
        ({"pod_id": ..., "engagement_type": 1}, "engagement_type: it must be a text; pod_id: it is missing"),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_its_field(changes: dict[str, Any], told: str) -> None:
    """Each error uses the words of the person who wrote the file."""
    assert problem(line() + line(**changes)) == f"line 2: {told}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"pod_id":', "it is not JSON: Expecting value"),
        (b"[1, 2]\n", "it is not a JSON object"),
        (b'{"pod_id": "\xff"}\n', "it is not UTF-8 (byte 13)"),
        (b"[" * 200_000, "it is not JSON that can be read"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "line 1: "),
        (b'"' + b"x" * 1_000_001, "it is longer than 1000000 bytes"),
    ],
)
def test_a_line_that_is_no_object_is_told_with_its_number(content: bytes, told: str) -> None:
    """Whatever the file contains."""
    assert problem(content).startswith("line 1: ")
    assert told in problem(content)


def test_a_row_of_csv_is_an_activity() -> None:
    """Quoted line ends belong to the comment. An empty cell is no value. Lines are counted as an editor counts them."""
    content = (
        "pod_id,engagement_type,post_id,scheduled_for,comment_text\r\n"
        'pod-1,comment,p,2030-03-15T14:30:00Z,"two\r\nlines"\r\n'
        "\r\n"
        "pod-1,like,p,2030-03-15T14:30:00Z,\r\n"
    )
    assert [each.comment_text for each in read(content, read_csv)] == ["two\r\nlines", None]
    assert problem(content + "pod-1,like,p,2030-03-15\r\n", read_csv).startswith("line 6: scheduled_for: ")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("pod_id,post_id,pod_id\n", "line 1: it names the column 'pod_id' twice"),
        ("pod_id\na,b\n", "line 2: it has 2 cells for 1 columns"),
        ('pod_id\n"a"b\n', "line 2: it is not CSV: "),
        ('pod_id\n"a\n\n\n', "line 4: it is not CSV: unexpected end of data"),
        ("pot_id\na\n", "line 2: engagement_type: it is missing"),
        ("pod_id\n\x00\n", "line 2: "),
    ],
)
def test_wrong_csv_is_told_with_its_line(content: str, told: str) -> None:
    """As for JSON."""
    assert problem(content, read_csv).startswith(told)


def test_an_empty_file_has_no_activities() -> None:
    """In either format, with a header or without."""
    assert read("") == read("", read_csv) == read("pod_id\n", read_csv) == []


def test_the_line_of_every_activity_is_known() -> None:
    """What the database refuses afterwards is reported by line, too."""
    content = line() + "\n" + line() + line() + "\n\n" + line()
    lines = ActivityLines(read_json_lines(io.BytesIO(content.encode())))
    assert len(list(lines)) == 4
    assert [lines.line_of(position) for position in (1, 2, 3, 4)] == [1, 3, 4, 7]


def test_one_line_is_read_at_a_time() -> None:
    """A file without an end can be read, like a pipe."""

    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:
            return line(id=...).encode()

    activities = iter(ActivityLines(read_json_lines(Endless())))  # type: ignore[arg-type]
    assert [next(activities).post_id for _ in range(3)] == ["urn:li:activity:1"] * 3


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-03-15T14:30:00Z", AT),
        ("2030-03-15T14:30:00z", AT),
        ("2030-03-15 16:30:00+02:00", AT),
        ("2030-03-15T14:30+00:00", AT),
        ("2030-03-15T14:30:00.5Z", AT.replace(microsecond=500_000)),
        ("2030-03-15T14:30:00.123456789Z", AT.replace(microsecond=123_456)),
    ],
)
def test_an_instant_is_read_as_utc(text: str, instant: datetime) -> None:
    """The same on every version of Python."""
    read_instant = parse_instant(text)
    assert (read_instant, read_instant.tzinfo) == (instant, timezone.utc)


@pytest.mark.parametrize(
    "text", ["", "now", "2030-02-30T00:00:00Z", "0001-01-01T00:00:00+23:00", "2030-03-15", "14:30Z"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"it is not a time|it names no time zone"):
        parse_instant(text)
