"""The provider's gateway, as the settings name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from adapters.clock import SystemClock
from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.unipile.gateway import DIALECTS, UnipileGateway
from runners.settings import Settings, SettingsProblem

__all__ = ["build_gateway", "open_provider"]


@contextmanager
def open_provider(settings: Settings) -> Iterator[UnipileGateway]:
    """The provider alone, for whoever only asks it something.

    Raises:
        SettingsProblem: the API key cannot be used.
    """
    with HttpSession() as session:
        yield build_gateway(settings, SystemClock(), session)


def build_gateway(settings: Settings, clock: SystemClock, session: HttpSession) -> UnipileGateway:
    """The gateway, on a session that somebody else closes.

    Raises:
        SettingsProblem: the API key cannot be used.
    """
    try:
        return UnipileGateway(
            base_url=settings.unipile_base_url,
            dialect=DIALECTS[settings.unipile_api_version],
            api_key=str(settings.unipile_api_key),
            session=session,
            breaker=HostBreaker(host=urlsplit(settings.unipile_base_url).netloc, clock=clock),
        )
    except ValueError as error:
        raise SettingsProblem(f"UNIPILE_API_KEY: {error}") from error
