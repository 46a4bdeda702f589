"""What any worker may do for all of them. A heartbeat notices it, and a periodic task does it."""

from __future__ import annotations

from enum import Enum

__all__ = ["Chore"]


class Chore(str, Enum):
    """One kind of such work."""

    ORPHANS = "orphans"
    """There are attempts whose worker is gone."""
    UNKNOWNS = "unknowns"
    """There are unknown outcomes whose next read-back is due."""
    ALERTS = "alerts"
    """There are alerts to deliver."""
    ACCOUNTS = "accounts"
    """There are held accounts to probe, or accounts that keep failing."""
