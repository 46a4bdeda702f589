"""The parts of the RQ adapter that need no server."""

from __future__ import annotations

import pickle

import pytest
from redis import Redis, SSLConnection, UnixDomainSocketConnection
from rq.exceptions import DeserializationError
from rq.serializers import DefaultSerializer

from adapters.rq.connection import RedisServer
from adapters.rq.job_id import job_id_for
from adapters.rq.json_job import JsonJob, JsonQueue
from engagement_core.ports.queue import QueueUnavailable

ANY = Redis()  # never connected


@pytest.mark.parametrize("name", ["a-1", "3f2b8c1e-6f0a-4f7e-9a54-6a0d5f0c9a11", "A_b-9"])
def test_the_job_id_is_the_activity_id_where_rq_allows_it(name: str) -> None:
    """So that a person finds the job."""
    assert job_id_for(name) == name


@pytest.mark.parametrize("name", ["pod:1", "ü", "a b", "", "x" * 129, "a-1\n"])
def test_another_activity_id_becomes_a_hash_that_rq_allows(name: str) -> None:
    """Always the same, never another's, and it hashes to itself no further."""
    job_id = job_id_for(name)
    assert job_id.startswith("sha256-")
    assert job_id == job_id_for(name) != job_id_for(name + "x")
    assert job_id_for(job_id) == job_id
    assert JsonJob(job_id, connection=ANY).id == job_id


@pytest.mark.parametrize("serializer", [None, DefaultSerializer, "rq.serializers.DefaultSerializer"])
def test_rq_cannot_talk_our_classes_into_pickle(serializer: object) -> None:
    """rq-scheduler forgets the serializer, RQ's commands name another: JSON it stays."""
    queue = JsonQueue.from_queue_key("rq:queue:q", connection=ANY, serializer=serializer)  # type: ignore[arg-type]
    job = JsonJob.create("f", kwargs={"a": 1}, connection=ANY, serializer=serializer)
    assert queue.job_class is JsonJob
    assert job.data == b'["f", null, [], {"a": 1}]'
    assert queue.serializer.dumps({"a": 1}) == b'{"a": 1}'


def test_a_json_job_refuses_a_pickle() -> None:
    """An error, not an execution."""
    job = JsonJob("a-1", connection=ANY)
    job.data = pickle.dumps(("f", None, (), {}))
    with pytest.raises(DeserializationError):
        _ = job.kwargs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://localhost:6379",
        "localhost:6379",
        "redis://localhost:s3cret",
        "redis://:s3cret/rest@localhost:6379/0",
        "redis://:s3cret#rest@localhost:6379/0",
        "redis://:1234/s3cret@localhost",
        "redis://localhost:6379/0?db=s3cret",
        "redis://[s3cret",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    """Not even the chain of causes shows what may be a piece of a password."""
    with pytest.raises(QueueUnavailable, match="REDIS_URL is not a Redis URL") as caught:
        RedisServer(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "connection_class", "address"),
    [
        ("redis://u:p%40ss@redis.example:6380/2", None, "redis.example:6380"),
        ("rediss://redis.example", SSLConnection, "redis.example:6379"),
        ("unix:///run/redis.sock?db=1", UnixDomainSocketConnection, "/run/redis.sock"),
    ],
)
def test_every_kind_of_redis_url_is_accepted(url: str, connection_class: type | None, address: str) -> None:
    """Plain, TLS and socket."""
    server = RedisServer(url)
    pool = server.client().connection_pool
    assert server.address == address
    if connection_class is not None:
        assert pool.connection_class is connection_class
    assert pool.connection_kwargs.get("password") == ("p@ss" if "p%40ss" in url else None)


def test_a_url_cannot_lift_the_limits() -> None:
    """Timeouts, retries and the number of connections are ours."""
    url = "redis://h?socket_timeout=900&socket_connect_timeout=900&max_connections=50&decode_responses=1&timeout=900"
    pool = RedisServer(url).client(longest_block=0.5).connection_pool
    assert pool.max_connections == 1
    assert pool.connection_kwargs["socket_timeout"] == 2.5
    assert pool.connection_kwargs["socket_connect_timeout"] == 2.0
    assert pool.connection_kwargs["retry"]._retries == 0
    assert "decode_responses" not in pool.connection_kwargs
