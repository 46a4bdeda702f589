"""DATABASE_URL with several hosts, as for a primary and its standby: libpq tries them in turn."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from adapters.embedded import EmbeddedServers
from adapters.embedded.wheels import wheels_installed
from adapters.postgres.connection.pool import PostgresPool
from engagement_core.ports.activities import StoreUnavailable
from support.commands import Commands
from support.servers import refuse

pytestmark = pytest.mark.embedded


@contextmanager
def database() -> Iterator[str]:
    """A PostgreSQL of its own, over TCP."""
    if not wheels_installed():
        refuse(os.environ)
    with tempfile.TemporaryDirectory(prefix="several-hosts-") as place:
        Path(place).chmod(0o755)
        with EmbeddedServers(Path(place) / "data", fsync=False, tcp=True) as urls:
            yield urls.database_url


def with_hosts(url: str, *ports: int | None) -> str:
    """The URL with these ports of this machine, in this order."""
    place = urlsplit(url)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    netloc = f"{place.username}:{place.password}@{hosts}"
    return place._replace(netloc=netloc, query="target_session_attrs=read-write").geturl()


@pytest.fixture(scope="module")
def live() -> Iterator[str]:
    """One server for all tests of this file."""
    with database() as url:
        yield url


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port on which nobody listens: it is taken, so that nobody else can listen there meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def served_by(url: str) -> int:
    """The port of the server that the pool has found."""
    with closing(PostgresPool(url, size=1)) as pool:
        ((port,),) = pool.query("SELECT inet_server_port()")
    return int(port)


def test_a_dead_host_is_passed_over(live: str, dead_port: int) -> None:
    """One dead port first, the live one second, and the other way round."""
    port = urlsplit(live).port
    assert served_by(with_hosts(live, dead_port, port)) == port
    assert served_by(with_hosts(live, port, dead_port)) == port
    with pytest.raises(StoreUnavailable):
        served_by(with_hosts(live, dead_port, dead_port))


def test_commands_take_several_hosts(live: str, dead_port: int) -> None:
    """Nothing on the way takes the URL apart and stumbles."""
    commands = Commands(environ={"DATABASE_URL": with_hosts(live, dead_port, urlsplit(live).port)})
    migrated = commands("migrate")
    assert migrated.exit_code == 0, migrated.stderr
    assert commands.json("status")


def test_a_host_that_only_reads_is_passed_over(live: str) -> None:
    """A standby cannot take the intent. After a fail-over it is the other one that only reads."""
    with database() as other:
        ports = urlsplit(live).port, urlsplit(other).port
        # The password is one for all hosts of a URL.
        run(live, "CREATE ROLE worker LOGIN PASSWORD 'both'")
        run(other, "CREATE ROLE worker LOGIN PASSWORD 'both'")
        url = with_hosts("postgresql://worker:both@127.0.0.1:1/postgres", *ports)
        run(live, "ALTER ROLE worker SET default_transaction_read_only = on")
        assert served_by(url) == ports[1]
        run(live, "ALTER ROLE worker RESET default_transaction_read_only")
        run(other, "ALTER ROLE worker SET default_transaction_read_only = on")
        assert served_by(url) == ports[0]


def run(url: str, statement: str) -> None:
    """As the owner."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
