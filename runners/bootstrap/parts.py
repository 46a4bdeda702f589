"""The parts that one process is made of: the adapters, opened together and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.clock import SystemClock
from adapters.http.session import HttpSession
from adapters.no_queue import NoQueue
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.alerts import PostgresAlertOutbox
from adapters.rq.queue import RqQueue
from adapters.telemetry.fan_out import FanOutTelemetry
from adapters.unipile.gateway import UnipileGateway
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice
from runners.bootstrap.provider import build_gateway
from runners.bootstrap.queue import build_queue
from runners.bootstrap.voice import build_voice, needed_by_voice, takes_time
from runners.settings import Settings

if TYPE_CHECKING:
    from adapters.bullmq.queue import BullmqQueue

__all__ = ["Parts", "connections_of", "open_parts"]

_MOST_CONNECTIONS = 10
_LONGEST_STATEMENT = timedelta(minutes=2)
"""For what a worker reads: less than the time after which a periodic task counts as stuck."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the use cases of one process share."""

    settings: Settings
    worker_id: str
    telemetry: Telemetry
    clock: SystemClock
    pool: PostgresPool
    store: PostgresActivityStore
    outbox: PostgresAlertOutbox
    queue: RqQueue | BullmqQueue | NoQueue
    session: HttpSession
    linkedin: UnipileGateway
    voice: Voice


@contextmanager
def open_parts(settings: Settings, *, worker_id: str, listeners: tuple[Telemetry, ...]) -> Iterator[Parts]:
    """The adapters that the settings name; closed at the end of the `with` block.

    Raises:
        SettingsProblem: a setting is missing, or no adapter takes its value.
        SchemaProblem: the database lacks something.
        StoreUnavailable: it cannot be reached.
    """
    settings.need(*settings.servers, "unipile_api_key", *needed_by_voice(settings))
    clock = SystemClock()
    pool = PostgresPool(str(settings.database_url), size=connections_of(settings), answers_within=_LONGEST_STATEMENT)
    queue = build_queue(settings)
    session = HttpSession()
    voice_session = HttpSession() if takes_time(settings) else session
    try:
        yield Parts(
            settings=settings,
            worker_id=worker_id,
            telemetry=FanOutTelemetry(*listeners),
            clock=clock,
            pool=pool,
            store=PostgresActivityStore(pool),
            outbox=PostgresAlertOutbox(pool),
            queue=queue,
            session=session,
            linkedin=build_gateway(settings, clock, session),
            voice=build_voice(settings, clock, voice_session),
        )
    finally:
        queue.close()
        voice_session.close()
        session.close()
        pool.close()


def connections_of(settings: Settings) -> int:
    """How many database connections a worker opens at most."""
    # Periodic tasks borrow a connection now and then. With two, they never wait for a call to end.
    return min(max(settings.concurrency, 2), _MOST_CONNECTIONS)
