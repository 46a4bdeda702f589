"""The fixtures that every other integration test stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
import redis

from adapters.embedded.wheels import wheels_installed
from support.servers import ServerUrls, fresh_database

# A test session that is killed: it says which database's server it uses, and waits for the end.
SESSION = """
import sys
from support.servers import Source, kept_servers

with kept_servers(Source.WHEELS) as urls:
    print(urls.database_url, flush=True)
    sys.stdin.read()
"""


def select(url: str, statement: str) -> object:
    """The first value that `statement` selects."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return row and row[0]


def exists(server_url: str, database_url: str) -> bool:
    """Whether the server has that database."""
    name = urlsplit(database_url).path.lstrip("/")
    return bool(select(server_url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"))


def test_a_database_has_the_schema_and_no_rows(database_url: str) -> None:
    """Each test starts from a migrated, empty database."""
    assert select(database_url, "SELECT count(*) FROM pod_activities") == 0


def test_an_empty_database_is_empty(empty_database_url: str) -> None:
    """For tests of the migration itself."""
    assert select(empty_database_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_a_fresh_database_is_dropped_although_it_is_in_use(servers: ServerUrls) -> None:
    """A thread that a test forgot does not keep its database alive."""
    with fresh_database(servers.database_url) as url:
        forgotten = psycopg2.connect(url)
        assert exists(servers.database_url, url)
    forgotten.close()
    assert not exists(servers.database_url, url)


@pytest.mark.parametrize("turn", [1, 2])
def test_redis_is_empty_at_each_test(redis_url: str, turn: int) -> None:
    """What one test leaves in Redis, the next does not see."""
    with redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", turn)


@pytest.mark.embedded
def test_a_killed_session_leaves_no_server_running() -> None:
    """Whatever ends pytest ends its servers: the keeper sees its input end."""
    if not wheels_installed():
        pytest.skip("the keeper is tested with the wheels")
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as session:
        assert session.stdout is not None
        url = session.stdout.readline().strip()
        family = psutil.Process(session.pid).children(recursive=True)
        postmaster = select(url, "SELECT pg_read_file('postmaster.pid')")
        server = psutil.Process(int(str(postmaster).split("\n", 1)[0]))
        session.kill()
    _, alive = psutil.wait_procs([*family, server], timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
