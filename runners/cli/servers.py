"""Decides which PostgreSQL and Redis a command uses: those of the settings, or embedded ones.

The one rule: this one place decides it and checks the URLs without connecting, before anything else happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from adapters.postgres.connection.url import checked_database_url
from adapters.postgres.schema.migrate import migrate
from adapters.rq.connection import RedisServer
from engagement_core.ports.queue import QueueUnavailable
from runners.settings import Settings, SettingsProblem

__all__ = ["DATA_FOLDER", "server_options", "servers"]

F = TypeVar("F", bound=Callable[..., Any])

DATA_FOLDER = Path(".engagement")
"""The default folder for the data of embedded servers (`--data` names another): in the current directory."""


def server_options(command: F) -> F:
    """Give a command `--embedded` and `--data`, as its parameters `embedded` and `data`."""
    data = click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"Data folder of the embedded servers (default: {DATA_FOLDER}).",
    )
    embedded = click.option(
        "--embedded",
        is_flag=True,
        help="Use real PostgreSQL and Valkey from wheels; start them, or share running ones.",
    )
    return embedded(data(command))


@contextmanager
def servers(settings: Settings, embedded: bool, data: Path | None, *, migrated: bool = True) -> Iterator[Settings]:
    """The settings, with the servers to use. Embedded servers run until the end of the `with` block.

    Args:
        settings: as read from the environment.
        embedded: use servers from wheels, and ignore the servers of the settings. Without a queue, that is PostgreSQL.
        data: their data folder; None is `DATA_FOLDER`.
        migrated: create or extend the schema in the embedded database, which is ours alone.

    Raises:
        SettingsProblem: a URL is malformed.
        EmbeddedServersFailed: the servers could not be started.
        click.UsageError: `data` without `embedded`.
    """
    if not embedded:
        if data is not None:
            raise click.UsageError("--data is the folder of the embedded servers: it needs --embedded")
        yield _checked(settings)
        return
    from adapters.embedded import EmbeddedServers  # noqa: PLC0415 - most users have their own servers

    with EmbeddedServers(data or DATA_FOLDER, with_valkey=settings.has_queue) as urls:
        if migrated:
            migrate(urls.database_url)
        yield replace(settings, database_url=urls.database_url, redis_url=urls.redis_url)


def _checked(settings: Settings) -> Settings:
    try:
        if settings.database_url is not None:
            checked_database_url(settings.database_url)
        if settings.redis_url is not None:
            RedisServer(settings.redis_url)
    except ValueError as error:
        raise SettingsProblem(f"DATABASE_URL: {error}") from None
    except QueueUnavailable as error:
        # Creating it does not connect: the URL is all that it can refuse.
        raise SettingsProblem(str(error)) from None
    return settings
