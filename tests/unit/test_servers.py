"""Where the tests' servers come from: the order of preference, and what happens when there are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servers import Plan, ServerUrls, Source, plan_servers, refuse

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


def test_missing_servers_skip_elsewhere_with_a_cure() -> None:
    """On a bare machine the reason says how to get servers."""
    with pytest.raises(pytest.skip.Exception, match="pip install"):
        refuse({})
