"""What a BullMQ job is called, and what is read of what a stranger wrote into one."""

from __future__ import annotations

import json

import pytest

from adapters.bullmq.job_id import job_id_for
from adapters.bullmq.payload import read_job, read_options
from adapters.redis.payload import Illegible, Named


@pytest.mark.parametrize("name", ["a-1", "3f2b8c1e-6f0a-4f7e-9a54-6a0d5f0c9a11", "x" * 127 + "1", "activity_7"])
def test_an_ordinary_id_is_the_job_id(name: str) -> None:
    """So that a producer's job and ours are one."""
    assert job_id_for(name) == name


@pytest.mark.parametrize(
    "name",
    ["7", "0042", "wait", "stalled-check", "meta", "id", "a:1", "a 1", "a/1", "ü1", "", "x1" * 65, "a1\n", "\ud800"],
)
def test_an_id_that_bullmq_could_misunderstand_is_hashed(name: str) -> None:
    """Numbers, its own keys, its separator, and whatever a key is better without; always to the same id."""
    assert job_id_for(name).startswith("sha256-")
    assert job_id_for(name) == job_id_for(name)
    assert job_id_for(name) != job_id_for(name + "x")


@pytest.mark.parametrize("data", ['{"activityId": "a-1"}', '{"activity_id": "a-1", "activityId": "b-1", "x": [1]}'])
def test_the_activity_id_is_read_in_either_spelling(data: str) -> None:
    """Python's comes first."""
    assert read_job("1", {"data": data}) == Named("a-1")


@pytest.mark.parametrize(
    "data", ["", "{", "[]", "null", "{}", '{"activityId": 1}', "\udcff", "[" * 65_000, "x" * 70_000]
)
def test_what_names_no_activity_is_a_value(data: str) -> None:
    """With a reason and a short raw form."""
    payload = read_job("1", {"data": data})
    assert isinstance(payload, Illegible)
    assert payload.reason
    assert len(payload.raw) < 3_000


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"removeOnComplete": True, "removeOnFail": 5}, {"removeOnComplete": True, "removeOnFail": 5}),
        ({"removeOnComplete": {"age": 1, "count": 2}}, {"removeOnComplete": {"age": 1, "count": 2}}),
        ({"removeOnComplete": {"age": "1"}}, {}),
        ({"removeOnComplete": {"age": True}}, {}),
        ({"removeOnComplete": {}}, {}),
        ({"removeOnComplete": {"evil": 1}}, {}),
        ({"removeOnComplete": 1.5, "removeOnFail": "x"}, {}),
        ({"attempts": 5, "backoff": [], "delay": "x"}, {}),
        ([1], {}),
    ],
)
def test_of_the_options_only_what_to_keep_is_read(options: object, kept: dict[str, object]) -> None:
    """And only where BullMQ's script can work with it."""
    assert read_options({"opts": json.dumps(options)}) == kept


@pytest.mark.parametrize("opts", ["", "{", "\udcff", "[" * 60_000, " " * 70_000])
def test_options_that_are_not_json_are_none(opts: str) -> None:
    """The job is finished by our own rules."""
    assert read_options({"opts": opts}) == {}
