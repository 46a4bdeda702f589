"""Where the tests' servers come from: the order of preference, and what happens when there are none."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.foreign import foreign_servers_are_here, refuse_without_foreign_servers
from support.pooler import refuse_without_pooler
from support.provider import ScriptedServer, free_port, raw_reply
from support.servers import IMAGES, Plan, ServerUrls, Source, docker_answers, kept_servers, plan_servers, refuse

DATABASE, REDIS = "postgresql://db/test", "redis://queue/1"


def yes() -> bool:
    """It is there."""
    return True


def no() -> bool:
    """It is not there."""
    return False


def never_asked() -> bool:
    """Asking would be a waste of time."""
    raise AssertionError("asked without need")


def test_urls_that_are_given_are_used_and_nothing_else_is_looked_for() -> None:
    """With both URLs set, neither Docker nor the wheels are asked."""
    environ = {"TEST_DATABASE_URL": DATABASE, "TEST_REDIS_URL": REDIS}
    assert plan_servers(environ, docker=never_asked, wheels=never_asked) == Plan(
        database_url=DATABASE, redis_url=REDIS, rest=Source.GIVEN
    )


@pytest.mark.parametrize(
    ("docker", "wheels", "source"),
    [(yes, never_asked, Source.DOCKER), (no, yes, Source.WHEELS), (no, no, Source.MISSING)],
)
def test_docker_comes_before_the_wheels(docker: Callable[[], bool], wheels: Callable[[], bool], source: Source) -> None:
    """Without URLs a Docker daemon that answers is preferred; the wheels are what always works."""
    assert plan_servers({}, docker=docker, wheels=wheels).rest is source


def test_an_empty_variable_is_no_url() -> None:
    """CI systems define unused variables as empty."""
    environ = {"TEST_DATABASE_URL": "", "TEST_REDIS_URL": ""}
    assert plan_servers(environ, docker=no, wheels=yes) == Plan(database_url=None, redis_url=None, rest=Source.WHEELS)


def test_one_given_url_is_completed_by_the_rest() -> None:
    """A given database is used although Redis comes from elsewhere."""
    plan = plan_servers({"TEST_DATABASE_URL": DATABASE}, docker=no, wheels=yes)
    supplied = ServerUrls(database_url="postgresql://other", redis_url="unix:///other")
    assert plan.completed_by(supplied) == ServerUrls(database_url=DATABASE, redis_url="unix:///other")


def test_the_header_says_where_each_server_comes_from() -> None:
    """Whoever reads a report sees what it was run against, without any password."""
    plan = Plan(database_url="postgresql://me:secret@db/test", redis_url=None, rest=Source.DOCKER)
    assert str(plan) == "PostgreSQL: given by URL, Redis: Docker"


def test_missing_servers_fail_in_ci() -> None:
    """A green build without servers would prove nothing."""
    with pytest.raises(pytest.fail.Exception, match="TEST_DATABASE_URL"):
        refuse({"CI": "true"})


def test_missing_pooler_is_treated_like_the_other_servers() -> None:
    """It fails in CI, unless CI says that it cannot be had, and is skipped elsewhere; the reason names the package."""
    with pytest.raises(pytest.fail.Exception, match="pgbouncer"):
        refuse_without_pooler({"CI": "true"})
    with pytest.raises(pytest.skip.Exception, match="pgbouncer"):
        refuse_without_pooler({"CI": "true", "PGBOUNCER": "missing"})
    with pytest.raises(pytest.skip.Exception, match="pgbouncer"):
        refuse_without_pooler({})


def test_missing_foreign_servers_are_treated_like_the_pooler() -> None:
    """They fail in CI, unless CI says that they cannot be had; the reason names the packages."""
    with pytest.raises(pytest.fail.Exception, match="postgresql-15 and redis-server"):
        refuse_without_foreign_servers({"CI": "true"})
    with pytest.raises(pytest.skip.Exception):
        refuse_without_foreign_servers({"CI": "true", "FOREIGN_SERVERS": "missing"})
    with pytest.raises(pytest.skip.Exception, match="postgresql-15"):
        refuse_without_foreign_servers({})


def test_foreign_servers_are_looked_for_where_they_are_said_to_be(tmp_path: Path) -> None:
    """PostgreSQL's programs in a folder of their own, because they are on no PATH; Redis on the PATH."""
    environ = {"POSTGRESQL_15": str(tmp_path / "programs"), "PATH": str(tmp_path)}
    (tmp_path / "programs").mkdir()
    for program in ("programs/postgres", "redis-server"):
        assert not foreign_servers_are_here(environ)
        (tmp_path / program).touch(mode=0o755)
    assert foreign_servers_are_here(environ)


def test_missing_servers_skip_elsewhere_with_a_cure() -> None:
    """On a bare machine the reason says how to get servers."""
    with pytest.raises(pytest.skip.Exception, match="pip install"):
        refuse({})


# -- Docker, without Docker


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable says where a daemon is."""
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def _daemon(connection: socket.socket, request: bytes) -> None:
    """As much of Docker's API as says that it is there."""
    is_ping = b"/_ping" in request.partition(b"\r\n")[0]
    body = b"OK" if is_ping else b'{"ApiVersion": "1.43", "MinAPIVersion": "1.24", "Version": "24.0.0"}'
    connection.sendall(raw_reply(200, body, "Content-Type: application/json\r\n"))


def test_a_daemon_that_answers_is_used(no_docker: pytest.MonkeyPatch) -> None:
    """Wherever DOCKER_HOST says that it is."""
    with ScriptedServer(_daemon) as daemon:
        no_docker.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.port}")
        assert docker_answers()
        assert any(b"/_ping" in request for request in daemon.requests)
        plan = plan_servers({}, docker=docker_answers, wheels=never_asked)
    assert plan.rest is Source.DOCKER


def test_a_daemon_that_does_not_answer_is_not_waited_for(no_docker: pytest.MonkeyPatch) -> None:
    """A machine that has the client and no daemon uses the wheels."""
    no_docker.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    assert not docker_answers()


def test_a_daemon_that_is_broken_is_not_used(no_docker: pytest.MonkeyPatch) -> None:
    """It answers, but not as Docker does."""
    with ScriptedServer(lambda connection, _: connection.sendall(raw_reply(500))) as daemon:
        no_docker.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{daemon.port}")
        assert not docker_answers()


def test_docker_that_starts_no_container_is_told_in_its_own_words(no_docker: pytest.MonkeyPatch) -> None:
    """It answered a moment ago and is gone, or it has no such image: no hang, and no silent skip."""
    no_docker.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")
    told = "the servers could not be started: .*(refused|Docker)"
    with pytest.raises(pytest.fail.Exception, match=told), kept_servers(Source.DOCKER):
        pass


@pytest.mark.parametrize("image", IMAGES.values())
def test_the_images_are_pinned_to_a_patch(image: str) -> None:
    """And the page that people read names the same."""
    assert image.rpartition(":")[2].split("-")[0].count(".") >= 1
    assert image in (Path(__file__).resolve().parents[2] / "docs/how-to/run-the-tests.md").read_text(encoding="utf-8")
