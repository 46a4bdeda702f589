"""What is read from a job's data, and that nothing in it can hurt."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rq.payload import MAX_PAYLOAD_BYTES, Illegible, Named, printable, read_payload

FUNCTION = "runners.tasks.execute_engagement"


def call(*args: object, function: object = FUNCTION, **kwargs: object) -> bytes:
    """A call as RQ's JSON serializer writes it."""
    return json.dumps([function, None, args, kwargs]).encode("utf-8")


@pytest.mark.parametrize(
    "data",
    [
        call(activity_id="a-1"),
        call(activityId="a-1"),
        call("a-1"),
        call({"activity_id": "a-1"}),
        call({"activityId": "a-1", "podId": "p-1"}),
        call("ignored", activity_id="a-1"),
        call(activity_id="a-1", activityId="ignored"),
        call(activity_id="a-1", scheduled_for="2030-01-01T00:00:00Z", comment_text={"not": "believed"}),
        call(activity_id="a-1", function="e04.jobs.schedule_likes"),
        call(activity_id="a-1", function=None),
    ],
)
def test_an_activity_id_is_found_wherever_producers_put_it(data: bytes) -> None:
    """Either spelling, by keyword or in the first argument, under whatever function name, compressed or not."""
    assert read_payload(data) == Named("a-1")
    assert read_payload(zlib.compress(data)) == Named("a-1")


def test_an_id_of_any_script_is_read_as_it_is() -> None:
    """The database's ids are text."""
    assert read_payload(call(activity_id=" ünï:名 \n")) == Named(" ünï:名 \n")


@pytest.mark.parametrize(
    "data",
    [
        call(),
        call(pod_id="p-1"),
        call(42),
        call(["a-1"]),
        call(None),
        call({"id": "a-1"}),
        call("a-1", activity_id=42),
        call(activity_id=None),
        call(activity_id=""),
        call(activity_id=" \t"),
        call(activity_id=["a-1"]),
        call(activity_id="nul\x00"),
        call(activity_id="lone \ud800 surrogate"),
        call(activity_id="x" * 1025),
        b"[]",
        b"{}",
        b'"a-1"',
        b"null",
        b'["f", null, []]',
        b'["f", null, [], {}, "more"]',
        b'["f", null, {}, {"activity_id": "a-1"}]',
        b'["f", null, [], ["activity_id", "a-1"]]',
        b'{"activity_id": "a-1"}',
    ],
)
def test_json_that_names_no_activity_is_illegible(data: bytes) -> None:
    """The reason says so, and the raw form is there to look at."""
    read = read_payload(zlib.compress(data))
    assert isinstance(read, Illegible)
    assert read.reason.startswith("the payload names no activity")
    assert len(read.reason) <= 300
    assert read.raw == printable(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b'["f", null, [], {"activity_id": "a-1"}',
        b"\xff\xfe\x00",
        call(activity_id="a-1").decode("utf-8").encode("utf-16"),
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"[" + b"1" * 60_000 + b"]",
    ],
)
def test_what_is_not_json_is_illegible(data: bytes) -> None:
    """Truncated, binary, in the wrong encoding or nested without end: a value, never an exception."""
    assert isinstance(read_payload(data), Illegible)
    assert isinstance(read_payload(zlib.compress(data)), Illegible)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    """Loading it would write a file."""
    witness = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return witness.write_text, ("loaded",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        stored = pickle.dumps((FUNCTION, None, (), {"activity_id": "a-1", "trap": Trap()}), protocol=protocol)
        assert isinstance(read_payload(stored), Illegible)
        assert isinstance(read_payload(zlib.compress(stored)), Illegible)
    assert not witness.exists()
    pickle.loads(stored)  # noqa: S301 - ours, and made to be loaded here only
    assert witness.exists(), "the trap itself must work"


def test_a_payload_of_more_than_64_kib_is_illegible() -> None:
    """The last that fits is read, the first that does not is refused."""
    overhead = len(call(activity_id="a-1", padding=""))
    fits = call(activity_id="a-1", padding="x" * (MAX_PAYLOAD_BYTES - overhead))
    assert read_payload(fits) == Named("a-1")
    assert isinstance(
        read_payload(call(activity_id="a-1", padding="x" * (MAX_PAYLOAD_BYTES - overhead + 1))), Illegible
    )


def test_a_compression_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred megabytes in a hundred kilobytes: no more than the limit is ever produced."""
    bomb = zlib.compress(b" " * 100_000_000, 9)
    produced: list[int] = []
    original = zlib.decompressobj

    class Measured:
        def decompress(self, data: bytes, max_length: int = 0) -> bytes:
            plain = original().decompress(data, max_length)
            produced.append(len(plain))
            return plain

    monkeypatch.setattr(zlib, "decompressobj", Measured)
    read = read_payload(bomb)
    assert isinstance(read, Illegible)
    assert produced == [MAX_PAYLOAD_BYTES + 1]
    assert len(read.raw) < 3000


def test_the_raw_form_is_printable_and_bounded() -> None:
    """Text as it is, everything else in base64, two kibibytes of it."""
    assert printable(b'{"a": 1}') == '{"a": 1}'
    assert printable(b"\x80\x05") == "base64:" + base64.b64encode(b"\x80\x05").decode("ascii")
    assert printable(b"escape \x1b[2J").startswith("base64:")
    assert printable(b"x" * 10_000) == "x" * 2048


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever lies in Redis is answered with a value."""
    assert isinstance(read_payload(data), Named | Illegible)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.one_of(
        _JSON,
        st.tuples(_JSON, _JSON, st.lists(_JSON, max_size=2), st.dictionaries(st.sampled_from(["activity_id"]), _JSON)),
    )
)
def test_only_a_string_ever_becomes_an_activity_id(value: object) -> None:
    """Any JSON at all is either illegible or names a storable, non-blank string that stands in it."""
    read = read_payload(json.dumps(value).encode("utf-8"))
    if isinstance(read, Named):
        assert read.activity_id.strip()
        assert json.dumps(read.activity_id) in json.dumps(value)
