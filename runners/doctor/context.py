"""What the checks examine, and what earlier checks have learned.

The one rule: each server is asked once. The check that reaches it keeps the facts here; the other checks only judge
them.
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
    """What all checks share.

    `stack` is closed at the end. `data_folder` is the folder of the embedded servers; None if other servers are used.
    `wants_dry_run`: try the executor's writes, and roll them back. `database` and `redis` are there once the checks
    that reach those servers have passed; a check that reads one of them needs that check.
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
        assert self.seen_database is not None  # noqa: S101 - a check that reads it needs the check that fills it
        return self.seen_database

    @property
    def redis(self) -> RedisFacts:
        """What Redis says."""
        assert self.seen_redis is not None  # noqa: S101 - as above
        return self.seen_redis
