"""Redis that is absent, silent, restarted, emptied or unwilling: one kind of error, soon, and life goes on."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import ConnectionError  # noqa: A004 - not Python's

from adapters.bullmq.queue import BullmqQueue
from adapters.embedded.wheels import valkey_program
from adapters.rq.queue import RqQueue
from engagement_core.model.job import Done, Later, WakeUp
from engagement_core.ports.queue import Queue, QueueUnavailable
from support.queues import receive_one, settle_one
from support.silent_proxy import before_redis

NOTHING = timedelta(0)
PAST = datetime(2020, 1, 1, tzinfo=timezone.utc)
WAKE_UP = WakeUp(activity_id="a-1", receipt="a-1:engagement-0")

MakeQueue = type[RqQueue] | type[BullmqQueue]
CALLS: dict[str, Callable[[Queue], object]] = {
    "ring": lambda queue: queue.ring("a-1", PAST),
    "receive": lambda queue: receive_one(queue, NOTHING),
    "settle": lambda queue: settle_one(queue, WAKE_UP, Later(at=PAST)),
    "bury": lambda queue: queue.bury("a-1", "dead"),
    "unbury": lambda queue: queue.unbury("a-1"),
    "advance": lambda queue: queue.advance(NOTHING),
    "depth": lambda queue: queue.depth(),
}


@pytest.fixture(params=[RqQueue, BullmqQueue])
def make_queue(request: pytest.FixtureRequest) -> MakeQueue:
    """Each doorbell on Redis in turn."""
    made: MakeQueue = request.param
    return made


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    yield folder
    shutil.rmtree(folder)


def answers(client: Redis) -> bool:
    """Whether the server is up."""
    try:
        return bool(client.ping())
    except ConnectionError:
        return False


@contextmanager
def server_at(path: Path) -> Iterator[None]:
    """A server of our own, which may be stopped."""
    settings = ("--port", "0", "--save", "", "--unixsocket", path)
    with subprocess.Popen([valkey_program(), *settings], cwd=path.parent, stdout=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 10
            with Redis.from_url(f"unix://{path}") as client:
                while not answers(client):
                    assert time.monotonic() < until, "the server did not start"
                    time.sleep(0.01)
            yield
        finally:
            server.terminate()


def with_user(url: str, userinfo: str) -> str:
    """The same server, addressed as somebody else."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{userinfo}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.mark.parametrize("name", CALLS)
def test_every_call_says_that_redis_is_absent(make_queue: MakeQueue, name: str, socket_folder: Path) -> None:
    """In our words, with the place, and with Redis's own error as the cause."""
    queue = make_queue(f"unix://:s3cret@{socket_folder}/nobody.sock")
    with pytest.raises(QueueUnavailable, match=r"Redis at .*nobody\.sock") as caught:
        CALLS[name](queue)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is not None
    queue.close()


def test_a_wrong_password_is_named_but_not_shown(make_queue: MakeQueue, redis_url: str) -> None:
    """An operator reads what is wrong; a log reader does not read the password."""
    queue = make_queue(with_user(redis_url, "nobody:s3cret"))
    with pytest.raises(QueueUnavailable, match=r"AuthenticationError|invalid username-password") as caught:
        queue.depth()
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"
    queue.close()


def test_a_host_that_no_resolver_can_be_asked_for_is_unavailable(make_queue: MakeQueue) -> None:
    """Python refuses to look the name up; that is no other kind of error."""
    queue = make_queue("redis://redis..example")
    with pytest.raises(QueueUnavailable, match=r"Redis at redis\.\.example:6379"):
        queue.depth()
    queue.close()


def test_a_port_that_speaks_something_else_is_unavailable(make_queue: MakeQueue) -> None:
    """A web server under the address of Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def ping() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)

        server = threading.Thread(target=ping)
        server.start()
        queue = make_queue(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(QueueUnavailable):
            queue.depth()
        queue.close()
        server.join()


def test_a_silent_redis_holds_no_call_for_much_longer_than_asked(make_queue: MakeQueue) -> None:
    """It accepts the connection and never answers: two seconds and a little, not for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        took: dict[str, float] = {}

        def measure(name: str) -> None:
            queue = make_queue(url)
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                CALLS[name](queue)
            took[name] = time.monotonic() - began
            queue.close()

        threads = [threading.Thread(target=measure, args=(name,)) for name in CALLS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert took.keys() == CALLS.keys()
    assert max(took.values()) < 6.0


@pytest.mark.embedded
def test_the_same_queue_works_again_after_redis_was_restarted(make_queue: MakeQueue, socket_folder: Path) -> None:
    """Unavailable while it is down, without a new object and without a lost first call afterwards."""
    path = socket_folder / "v.sock"
    queue = make_queue(f"unix://{path}")
    with server_at(path):
        queue.ring("a-1", PAST)
        assert receive_one(queue, NOTHING) is not None
    for call in CALLS.values():
        with pytest.raises(QueueUnavailable):
            call(queue)
    with server_at(path):
        assert receive_one(queue, NOTHING) is None
        queue.ring("a-2", PAST)
        received = receive_one(queue, NOTHING)
        assert isinstance(received, WakeUp)
        assert received.activity_id == "a-2"
    queue.close()


def test_a_flush_loses_jobs_and_nothing_else(make_queue: MakeQueue, redis_url: str) -> None:
    """Settling what was received before it is no error, and whatever rings afterwards is heard."""
    queue = make_queue(redis_url)
    queue.ring("a-1", PAST)
    queue.ring("a-2", PAST)
    wake_up = receive_one(queue, NOTHING)
    assert isinstance(wake_up, WakeUp)
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        client.script_flush()
        assert receive_one(queue, NOTHING) is None
        settle_one(queue, wake_up, Done())
        assert client.keys() == []
    settle_one(queue, wake_up, Later(at=PAST))
    queue.ring("a-3", PAST)
    heard = [receive_one(queue, NOTHING) for _ in range(3)]
    assert "a-3" in [each.activity_id for each in heard if isinstance(each, WakeUp)]
    queue.close()


def test_two_connections_serve_many_threads_while_one_listens(make_queue: MakeQueue, redis_url: str) -> None:
    """A listener that waits delays nobody, and a ring wakes it long before its time is up."""
    named = redis_url + ("&" if "?" in redis_url else "?") + "client_name=rq-queue-under-test"
    queue = make_queue(named)
    received: list[object] = []
    listener = threading.Thread(target=lambda: received.append(receive_one(queue, timedelta(seconds=30))))
    with Redis.from_url(redis_url) as client:

        def ours() -> list[dict[str, str]]:
            return [each for each in client.client_list() if each["name"] == "rq-queue-under-test"]

        listener.start()
        while not any("b" in each["flags"] for each in ours()):
            pass
        threads = [threading.Thread(target=lambda: [queue.depth() for _ in range(20)]) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ours()) == 2
        queue.ring("a-1", PAST)
        listener.join(timeout=15)
    [wake_up] = received
    assert isinstance(wake_up, WakeUp)
    queue.close()


def test_waiting_ends_with_its_timeout(make_queue: MakeQueue, redis_url: str) -> None:
    """Longer than one turn at the server, and not before its time."""
    queue = make_queue(redis_url)
    began = time.monotonic()
    assert receive_one(queue, timedelta(seconds=0.7)) is None
    assert 0.7 <= time.monotonic() - began < 5.0
    queue.close()


def test_closing_ends_a_wait_and_the_next_call_opens_again(redis_url: str) -> None:
    """A listener that is still there when BullMQ's loop ends is told so and does not hang."""
    queue = BullmqQueue(redis_url)
    ended: list[object] = []

    def listen() -> None:
        try:
            ended.append(receive_one(queue, timedelta(minutes=5)))
        except QueueUnavailable as error:
            ended.append(error)

    listener = threading.Thread(target=listen)
    with Redis.from_url(redis_url) as client:
        listener.start()
        while not any("b" in each["flags"] for each in client.client_list()):
            pass
    queue.close()
    listener.join(timeout=15)
    assert [type(each) for each in ended] == [QueueUnavailable]
    assert queue.depth() == 0
    queue.close()


def interrupted(queue: Queue, listener: threading.Thread) -> float:
    """Interrupt until the listener has ended; how many seconds that took."""
    began = time.monotonic()
    while listener.is_alive() and time.monotonic() < began + 5.0:
        queue.interrupt()
        listener.join(0.02)
    return time.monotonic() - began


@contextmanager
def listening(queue: Queue, redis_url: str, received: list[object]) -> Iterator[threading.Thread]:
    """A thread that waits at the server for five minutes, and says what it got."""

    def listen() -> None:
        try:
            received.append(queue.receive(timedelta(minutes=5), at_most=10))
        except QueueUnavailable as error:
            received.append(error)

    listener = threading.Thread(target=listen)
    with Redis.from_url(redis_url) as client:
        listener.start()
        while not any("b" in each["flags"] for each in client.client_list()):
            pass
    yield listener
    listener.join(15)


def test_a_wait_can_be_ended_and_the_next_job_is_heard(make_queue: MakeQueue, redis_url: str) -> None:
    """A drain does not wait until the read at the server ends by itself."""
    queue = make_queue(redis_url)
    received: list[object] = []
    with listening(queue, redis_url, received) as listener:
        assert interrupted(queue, listener) < 0.5
    assert received == [()]
    queue.ring("a-1", PAST)
    assert isinstance(receive_one(queue, timedelta(seconds=5)), WakeUp)
    queue.close()


def test_a_wait_ends_where_the_server_forbids_to_unblock_it(redis_url: str) -> None:
    """Some hosted servers allow no CLIENT command: the connection is shut down instead."""
    with Redis.from_url(redis_url) as client:
        client.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-client"])
    queue = RqQueue(with_user(redis_url, "limited:x"))
    received: list[object] = []
    try:
        with listening(queue, redis_url, received) as listener:
            assert interrupted(queue, listener) < 0.5
        assert [type(each) for each in received] == [QueueUnavailable]
        queue.ring("a-1", PAST)
        assert isinstance(receive_one(queue, timedelta(seconds=5)), WakeUp)
    finally:
        queue.close()
        with Redis.from_url(redis_url) as client:
            client.acl_deluser("limited")


def test_no_job_is_lost_when_the_wait_ends_as_it_rings(make_queue: MakeQueue, redis_url: str) -> None:
    """Either the listener has it, or the next one gets it at once."""
    queue = make_queue(redis_url)
    for number in range(20):
        received: list[tuple[object, ...]] = []
        with listening(queue, redis_url, received) as listener:  # type: ignore[arg-type]
            ringing = threading.Thread(target=queue.ring, args=(f"a-{number}", PAST))
            ringing.start()
            interrupted(queue, listener)
            ringing.join()
        [heard] = received
        heard = heard or queue.receive(timedelta(0), at_most=10)
        assert [each.activity_id for each in heard if isinstance(each, WakeUp)] == [f"a-{number}"]
    queue.close()


def test_a_redis_that_falls_silent_while_we_wait_is_noticed(make_queue: MakeQueue, redis_url: str) -> None:
    """The read lasts ten seconds, and two more say that it has failed; other commands fail sooner."""
    with before_redis(redis_url) as proxy:
        queue = make_queue(proxy.url)
        received: list[object] = []
        with listening(queue, redis_url, received) as listener:
            proxy.silence()
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                queue.depth()
            assert time.monotonic() - began < 6.0
            listener.join(30)
            assert time.monotonic() - began < 15.0
        assert [type(each) for each in received] == [QueueUnavailable]
        queue.close()


def test_a_drain_does_not_wait_for_a_redis_that_is_silent(make_queue: MakeQueue, redis_url: str) -> None:
    """Nobody answers; the wait ends all the same."""
    with before_redis(redis_url) as proxy:
        queue = make_queue(proxy.url)
        received: list[object] = []
        with listening(queue, redis_url, received) as listener:
            proxy.silence()
            assert interrupted(queue, listener) < 4.5
        queue.close()
