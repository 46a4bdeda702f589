"""A new database for one measurement: our schema, pods, and tables that nobody has ever analysed.

The one rule: whatever is measured here, a user meets on the first day.
"""

from __future__ import annotations

from contextlib import ExitStack, closing

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.demo.trial import PostgresTrial, new_database
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.intake import PostgresIntake
from runners.bench.workload import PODS

__all__ = ["FirstDay"]


class FirstDay:
    """One database. `trial` counts in it, `intake` adds activities to it."""

    def __init__(self, server_url: str, number: int) -> None:
        """
        Args:
            server_url: any database of the server, with the right to create others.
            number: makes its name; not used before on this server.
        """
        with ExitStack() as stack:
            self.url = stack.enter_context(new_database(server_url, f"bench_{number}"))
            migrate(self.url)
            pool = stack.enter_context(closing(PostgresPool(self.url, size=1)))
            self.trial = PostgresTrial(pool)
            self.intake = PostgresIntake(pool)
            self.trial.add_pods(PODS)
            self._ends = stack.pop_all()

    def close(self) -> None:
        """Drop it."""
        self._ends.close()
