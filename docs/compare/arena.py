"""Lets one peer work on the stage's servers, as the bench lets the product work.

The one rule: a peer gets what the product gets: a new database, an empty Redis, and all due orders before it starts, or
its orders while it runs if they are for later.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from peers import HERE, Installed, Peer

from engagement_core.model.new_activity import NewActivity
from runners.bench.drain import Drained, drained
from runners.bench.judge import lateness_ms
from runners.bench.lateness import likes_at_random_instants
from runners.bench.process import Process
from runners.bench.size import Size
from runners.bench.stage import Stage

__all__ = ["Arena"]

_PATIENCE = 120.0


class Arena:
    """The servers of the stage, and the packages of the peers."""

    def __init__(self, stage: Stage, installed: Installed) -> None:
        self._stage = stage
        self._installed = installed
        self._orders = stage.folder / "orders.json"
        self._starts = 0

    def drain(self, peer: Peer, planned: tuple[NewActivity, ...]) -> Drained:
        """All due orders are in the queue before the workers start, as for the product."""
        self._stage.clear()
        self._prepare(planned)
        self._enqueue(peer)
        with self._workers(peer) as workers:
            usage = self._stage.work_off(*workers, patience=_PATIENCE)
        return drained(self._stage, planned, usage)

    def lateness(self, peer: Peer, size: Size) -> tuple[float, ...]:
        """The workers run before any order is enqueued, as for the product."""
        self._stage.clear()
        with self._workers(peer) as workers:
            planned = likes_at_random_instants(size.spread, size.spread_s)
            self._prepare(planned)
            self._enqueue(peer)
            self._stage.work_off(*workers, patience=_PATIENCE)
        return lateness_ms(planned, self._stage.provider.effects())

    def _prepare(self, planned: Iterable[NewActivity]) -> None:
        planned = tuple(planned)
        self._orders.write_text(json.dumps([[each.id, each.scheduled_for.timestamp()] for each in planned]))
        self._stage.schedule(planned, ring=False)

    def _enqueue(self, peer: Peer) -> None:
        if peer.enqueue is not None:
            subprocess.run(  # noqa: S603 - our own scripts
                [*self._installed.command(peer, peer.enqueue), str(self._orders)],
                env=self._environment(),
                cwd=self._stage.folder,
                check=True,
            )

    @contextmanager
    def _workers(self, peer: Peer) -> Iterator[list[Process]]:
        with ExitStack() as stack:
            workers = [stack.enter_context(self._worker(peer)) for _ in range(peer.processes)]
            for worker in workers:
                # Asked, not killed: some have children.
                stack.callback(worker.stop)
            for worker in workers:
                worker.wait_until_it_says("peer ready")
            yield workers

    def _worker(self, peer: Peer) -> Process:
        self._starts += 1
        orders = () if peer.knows_time else (str(self._orders),)
        return Process(
            [*self._installed.command(peer, peer.work), *orders],
            log=self._stage.folder / f"peer-{self._starts}.log",
            environment=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": str(self._installed.python.parent),
            "PYTHONPATH": str(HERE),
            "NODE_PATH": str(self._installed.node_modules or ""),
            "NODE_ENV": "production",
            "DATABASE_URL": str(self._stage.settings.database_url),
            "REDIS_URL": str(self._stage.settings.redis_url),
            "PROVIDER_URL": self._stage.provider.url,
        }
