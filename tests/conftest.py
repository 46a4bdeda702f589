"""What every test may ask for: real servers, fresh databases, a seed.

The one rule: a test gets its own database and an empty Redis, and leaves nothing behind.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import redis

from adapters.embedded.wheels import wheels_installed
from support.endings import LastResort, let_children_be_interrupted
from support.foreign import DESCRIPTION, foreign_servers, foreign_servers_are_here, refuse_without_foreign_servers
from support.node import install_packages
from support.pooler import pgbouncer_program, pooled, refuse_without_pooler
from support.servers import Plan, ServerUrls, Source, docker_answers, fresh_database, kept_servers, plan_servers, refuse

if TYPE_CHECKING:
    from support.tables import PostgresTables

_PLAN = pytest.StashKey[Plan]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The same tests in another surrounding."""
    parser.addoption(
        "--pooled",
        action="store_true",
        help="reach PostgreSQL through PgBouncer in transaction mode, as with Supabase's pooler",
    )
    parser.addoption("--foreign", action="store_true", help=f"use other servers: {DESCRIPTION}")


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads its seed
def pytest_configure(config: pytest.Config) -> None:
    """Decide once where servers come from and which seed is used; see to it that every test can end."""
    let_children_be_interrupted()
    config.pluginmanager.register(LastResort())
    config.stash[_PLAN] = plan_servers(os.environ, docker=docker_answers, wheels=wheels_installed)
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what somebody needs to repeat this run."""
    seed = config.option.hypothesis_seed
    servers = DESCRIPTION if config.option.foreign else str(config.stash[_PLAN])
    return [f"servers: {servers}", f"seed: {seed} (to repeat: --hypothesis-seed={seed})"]


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test that uses servers; leave out those that mean nothing with `--pooled` or `--foreign`."""
    for option, marker in (("pooled", "direct"), ("foreign", "embedded")):
        if config.getoption(option):
            items[:] = [item for item in items if item.get_closest_marker(marker) is None]
    for item in items:
        if item.get_closest_marker("embedded") is not None:
            item.add_marker("servers")
        if {"servers", "direct_servers"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The number from which every random choice of this run follows; Hypothesis uses it too."""
    return int(pytestconfig.option.hypothesis_seed)


@pytest.fixture(scope="session")
def direct_servers(pytestconfig: pytest.Config) -> Iterator[ServerUrls]:
    """A running PostgreSQL (as a user who may create databases) and Redis or Valkey, shared by the whole session."""
    if pytestconfig.option.markexpr == "not servers":
        pytest.fail("a test that uses servers lacks the marker `servers`", pytrace=False)
    plan = pytestconfig.stash[_PLAN]
    if pytestconfig.option.foreign:
        if not foreign_servers_are_here(os.environ):
            refuse_without_foreign_servers(os.environ)
        with foreign_servers() as urls:
            yield urls
    elif plan.database_url and plan.redis_url:
        yield ServerUrls(database_url=plan.database_url, redis_url=plan.redis_url)
    elif plan.rest is Source.MISSING:
        refuse(os.environ)
    else:
        with kept_servers(plan.rest) as urls:
            yield plan.completed_by(urls)


@pytest.fixture(scope="session")
def pooled_server_url(direct_servers: ServerUrls) -> Iterator[str]:
    """The same PostgreSQL through a transaction pooler."""
    if pgbouncer_program() is None:
        refuse_without_pooler(os.environ)
    with pooled(direct_servers.database_url) as url:
        yield url


@pytest.fixture(scope="session")
def servers(direct_servers: ServerUrls, request: pytest.FixtureRequest) -> ServerUrls:
    """The servers as this run reaches them: see `--pooled`."""
    if not request.config.option.pooled:
        return direct_servers
    return replace(direct_servers, database_url=request.getfixturevalue("pooled_server_url"))


@pytest.fixture(scope="session")
def template_database(servers: ServerUrls) -> Iterator[str]:
    """The name of a database that holds our schema and no rows; to be cloned, never connected to."""
    from adapters.postgres.schema.migrate import migrate  # noqa: PLC0415 - tests without a database need no adapter

    with fresh_database(servers.database_url) as url:
        migrate(url)
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
def database_url(servers: ServerUrls, template_database: str) -> Iterator[str]:
    """A fresh database with our schema, for one test."""
    with fresh_database(servers.database_url, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def database(servers: ServerUrls, template_database: str) -> Iterator[PostgresTables]:
    """One database for all tests on a page: a new one for each would take longer than the tests."""
    from support.tables import postgres_tables  # noqa: PLC0415 - as above

    with postgres_tables(servers.database_url, template_database) as tables:
        yield tables


@pytest.fixture
def empty_database_url(servers: ServerUrls) -> Iterator[str]:
    """A fresh database without our schema, for one test."""
    with fresh_database(servers.database_url) as url:
        yield url


@pytest.fixture
def redis_url(servers: ServerUrls) -> Iterator[str]:
    """The session's Redis, emptied (only the database that its URL names) before and after the test."""
    with redis.from_url(servers.redis_url) as client:
        client.flushdb()
        yield servers.redis_url
        client.flushdb()


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pinned npm packages and the tests' own script for Node lie."""
    return install_packages(tmp_path_factory.mktemp("node"), os.environ)
