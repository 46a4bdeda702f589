"""Whom the checks look at, and what those before have learned.

The one rule: a server is asked once. The check that reaches it keeps the facts here; the others only judge them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from adapters.postgres.schema.diagnostics import DatabaseFacts
from adapters.rq.examination import RedisFacts
from runners.settings import Settings

__all__ = ["Context"]


@dataclass(kw_only=True)
class Context:
    """`data_folder` is that of the embedded servers, None where others are used. `stack` is unwound at the end.
    `wants_dry_run`: try the executor's writes, and take them back.

    A check that is run has found what it needs: the two properties are there when those that reach the servers were
    well.
    """

    stack: ExitStack
    settings: Settings = field(default_factory=Settings)
    data_folder: Path | None = None
    wants_dry_run: bool = False
    seen_database: DatabaseFacts | None = None
    seen_redis: RedisFacts | None = None

    @property
    def database(self) -> DatabaseFacts:
        """What PostgreSQL says."""
        assert self.seen_database is not None  # noqa: S101 - checks that need it name the one that fills it
        return self.seen_database

    @property
    def redis(self) -> RedisFacts:
        """What Redis says."""
        assert self.seen_redis is not None  # noqa: S101 - as above
        return self.seen_redis
