"""Real servers for the tests, wherever they run: given by URL, else from Docker, else from the wheels.

The one rule: pytest starts no server itself. A keeper in a session of its own does, and takes them down when its
standard input ends; it ends however pytest does, Ctrl-C and SIGKILL included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from adapters.embedded import EmbeddedServers

__all__ = [
    "IMAGES",
    "Plan",
    "ServerUrls",
    "Source",
    "docker_answers",
    "fresh_database",
    "keeper",
    "kept_servers",
    "plan_servers",
    "refuse",
    "refuse_without",
    "wait_until_ready",
]

IMAGES = {"postgres": "postgres:16.4-alpine", "redis": "redis:7.2.5-alpine"}
"""What Docker runs: pinned, so that a run can be repeated."""

_READY_WITHIN = 60.0


class Source(str, Enum):
    """Where a server comes from; the value is what the report's header says."""

    GIVEN = "given by URL"
    DOCKER = "Docker"
    WHEELS = "the wheels"
    MISSING = "nowhere"


@dataclass(frozen=True, kw_only=True)
class ServerUrls:
    """Two running servers."""

    database_url: str
    redis_url: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The URLs that were given, and what supplies those that were not."""

    database_url: str | None
    redis_url: str | None
    rest: Source

    def __str__(self) -> str:
        database, queue = (Source.GIVEN if url else self.rest for url in (self.database_url, self.redis_url))
        return f"PostgreSQL: {database.value}, Redis: {queue.value}"

    def completed_by(self, urls: ServerUrls) -> ServerUrls:
        """What was given comes first."""
        return ServerUrls(
            database_url=self.database_url or urls.database_url, redis_url=self.redis_url or urls.redis_url
        )


def plan_servers(environ: Mapping[str, str], *, docker: Callable[[], bool], wheels: Callable[[], bool]) -> Plan:
    """Decide; `docker` and `wheels` say whether they are there, and are asked only when it matters."""
    database_url, redis_url = environ.get("TEST_DATABASE_URL") or None, environ.get("TEST_REDIS_URL") or None
    if database_url and redis_url:
        rest = Source.GIVEN
    elif docker():
        rest = Source.DOCKER
    else:
        rest = Source.WHEELS if wheels() else Source.MISSING
    return Plan(database_url=database_url, redis_url=redis_url, rest=rest)


def refuse(environ: Mapping[str, str]) -> NoReturn:
    """What a test does without servers: it fails where `CI` is set, and is skipped on somebody's own machine."""
    reason = (
        "no PostgreSQL and Redis: set TEST_DATABASE_URL and TEST_REDIS_URL, or start Docker, or run"
        " pip install 'pod-engagement[test]'"
    )
    refuse_without(None, reason, environ)


def refuse_without(variable: str | None, reason: str, environ: Mapping[str, str]) -> NoReturn:
    """What a test does without a tool: it fails where `CI` is set, unless CI declares by `variable` that it cannot be
    had; it is skipped on somebody's own machine."""
    is_declared = variable is not None and environ.get(variable) == "missing"
    if environ.get("CI") and not is_declared:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def docker_answers() -> bool:
    """Whether a Docker daemon can be used. The client is not even loaded where there is plainly none."""
    if not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()):
        return False
    if find_spec("testcontainers") is None:
        return False
    import docker  # noqa: PLC0415 - slow, and seldom needed
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        with closing(docker.from_env(timeout=5)) as client:
            return bool(client.ping())
    except (DockerException, OSError):
        return False


@contextmanager
def kept_servers(source: Source) -> Iterator[ServerUrls]:
    """Servers from Docker or the wheels, until the block or this process ends."""
    with keeper(__name__, source.name) as (_, told):
        answer = json.loads(told.readline() or '{"failure": "the keeper of the servers died"}')
        if "failure" in answer:
            pytest.fail(f"the servers could not be started: {answer['failure']}", pytrace=False)
        yield ServerUrls(**answer)


@contextmanager
def keeper(module: str, *arguments: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """A process of a session of its own that keeps something running until its input ends: what it is told, and tells.

    Its input ends with the block, and with this process, however that ends.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            process.stdin.close()


@contextmanager
def fresh_database(server_url: str, template: str = "template0", *, options: str = "") -> Iterator[str]:
    """The URL of a new database, cloned from the database named `template`; dropped at the end, whoever uses it.

    `options` are those of CREATE DATABASE.
    """
    name = f"test_{uuid.uuid4().hex}"
    # A pooler keeps the session in which the template was made.
    _execute(server_url, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{template}'")
    _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def _from_wheels() -> Iterator[ServerUrls]:
    with tempfile.TemporaryDirectory(prefix="engagement-tests-") as folder:
        Path(folder).chmod(0o711)  # run by root, PostgreSQL is another user, who must be able to enter
        with EmbeddedServers(Path(folder) / "data", fsync=False) as urls:
            yield ServerUrls(database_url=urls.database_url, redis_url=urls.redis_url)


@contextmanager
def _from_docker() -> Iterator[ServerUrls]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only where there is Docker

    postgres = (
        DockerContainer(IMAGES["postgres"])
        .with_env("POSTGRES_PASSWORD", "engagement")
        .with_command("postgres -c fsync=off -c full_page_writes=off")
        .with_exposed_ports(5432)
    )
    queue = DockerContainer(IMAGES["redis"]).with_exposed_ports(6379)
    with postgres, queue:
        database_place = f"{postgres.get_container_host_ip()}:{postgres.get_exposed_port(5432)}"
        redis_place = f"{queue.get_container_host_ip()}:{queue.get_exposed_port(6379)}"
        urls = ServerUrls(
            database_url=f"postgresql://postgres:engagement@{database_place}/postgres",
            redis_url=f"redis://{redis_place}/0",
        )
        wait_until_ready(urls)
        yield urls


def wait_until_ready(urls: ServerUrls) -> None:
    """Block until both let us in; raises what the last one said if it does not within a minute."""
    give_up_at = time.monotonic() + _READY_WITHIN
    while (obstacle := _obstacle(urls)) is not None:
        if time.monotonic() > give_up_at:
            raise obstacle
        time.sleep(0.1)


def _obstacle(urls: ServerUrls) -> Exception | None:
    try:
        _execute(urls.database_url, "SELECT 1")
        with redis.from_url(urls.redis_url) as client:
            client.ping()
    except (psycopg2.OperationalError, redis.RedisError) as error:
        return error
    return None


def _keep(source: Source) -> None:
    supply = _from_docker if source is Source.DOCKER else _from_wheels
    try:
        with supply() as urls:
            _tell(asdict(urls))
            sys.stdin.read()
    except Exception as error:  # noqa: BLE001 - the session waits for a word, whatever it is
        _tell({"failure": str(error)})


def _tell(answer: Mapping[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _keep(Source[sys.argv[1]])
