"""The real provider, for whoever has an account and a post of their own.

The one rule: nothing here runs unless every variable is set, and nothing is touched but what they name.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from adapters.clock import SystemClock
from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.unipile.gateway import DIALECTS, UnipileGateway
from engagement_core.model.activity import Account, EngagementType
from engagement_core.model.provider import Engagement
from engagement_core.ports.clock import Deadline

_NEEDED = ("LIVE_UNIPILE_DSN", "LIVE_UNIPILE_API_KEY", "LIVE_UNIPILE_ACCOUNT_ID", "LIVE_UNIPILE_POST_ID")


@dataclass(frozen=True)
class Live:
    """The gateway, and in whose name it acts on which post."""

    gateway: UnipileGateway
    clock: SystemClock
    account: Account
    post_id: str
    patience: timedelta

    def deadline(self) -> Deadline:
        """An attempt's."""
        return Deadline.after(self.clock, timedelta(seconds=30))

    def like(self, post_id: str | None = None) -> Engagement:
        """A like of the post."""
        return Engagement(
            engagement_type=EngagementType.LIKE, post_id=post_id or self.post_id, account=self.account, text=None
        )

    def comment(self) -> Engagement:
        """A comment that nobody has made before, so that it is told from every other."""
        text = f"A test of the connection: it's fine & well ({uuid.uuid4().hex[:12]})."
        return Engagement(engagement_type=EngagementType.COMMENT, post_id=self.post_id, account=self.account, text=text)


@pytest.fixture
def live() -> Iterator[Live]:
    """The provider that the variables name; docs/how-to/live-tests.md says how."""
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"opt-in, see docs/how-to/live-tests.md: {', '.join(missing)} not set")
    dsn, key, account_id, post_id = (os.environ[name] for name in _NEEDED)
    base_url = dsn if "://" in dsn else f"https://{dsn}"
    clock = SystemClock()
    with closing(HttpSession()) as session:
        gateway = UnipileGateway(
            base_url=base_url,
            dialect=DIALECTS["v1"],
            api_key=key,
            session=session,
            breaker=HostBreaker(host=urlsplit(base_url).netloc, clock=clock),
        )
        account = Account(
            id="live",
            profile_id=None,
            provider_account_id=account_id,
            access_token=None,
            status=None,
            daily_limit=None,
        )
        patience = timedelta(seconds=float(os.environ.get("LIVE_UNIPILE_PATIENCE_S", "120")))
        yield Live(gateway=gateway, clock=clock, account=account, post_id=post_id, patience=patience)
