"""Which of the engagements that a post shows is the one that is looked for.

The one rule: what is ours is told by its words and its time, and by nobody else's having it; and what might be ours
forbids to believe that nothing is. The provider's clock is not ours: a comment in the very same words that seems to
have come a little before it was sent is neither taken for it nor overlooked.
"""

from __future__ import annotations

import html
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from engagement_core.activity import EngagementType
from engagement_core.attempt import Attempt
from engagement_core.ports.activities import Snapshot
from engagement_core.ports.linkedin import Found, Seen

__all__ = ["STRANGER", "Recognised", "recognise"]

STRANGER = "the post shows a comment of the account that nobody accounts for"

_TOLERANCE = timedelta(seconds=5)
"""The provider's clock against the database's, and dates that it truncates to the second."""
_SKEW = timedelta(minutes=10)
"""How far the provider's clock may be behind for a comment in the same words to be possibly ours."""
_NO_DATE = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """`ours` is the engagement that was looked for. `shows_stranger`: there is one that may be, and nobody can tell."""

    ours: Found | None
    shows_stranger: bool


def recognise(snapshot: Snapshot, attempt: Attempt, seen: Seen, *, since: datetime) -> Recognised:
    """What of `seen` is what `attempt` sent.

    Args:
        snapshot: `credited` are the ids that belong to other activities.
        attempt: what was sent: its type and its text.
        seen: a complete read.
        since: when the first request left whose effect this may be.
    """
    # An id that two comments bear says nothing of either; one comment that two pages show is one.
    bearers = Counter(own.engagement_id for own in set(seen.own))
    free = [own for own in seen.own if own.engagement_id not in snapshot.credited or bearers[own.engagement_id] > 1]
    recent = [own for own in free if own.created_at is None or own.created_at >= since - _TOLERANCE]
    if attempt.engagement_type is EngagementType.LIKE:
        return Recognised(ours=recent[0] if recent else None, shows_stranger=bool(recent))
    alike = [own for own in free if _same_text(own.text, attempt.text)]
    # The earliest that it can be: a later one of the same words may be another activity's, which can be none but that.
    ours = min((own for own in alike if own in recent), key=_date, default=None)
    shows_stranger = bool(recent) or any(_date(own) >= since - _SKEW for own in alike)
    return Recognised(ours=ours, shows_stranger=shows_stranger)


def _date(own: Found) -> datetime:
    return own.created_at or _NO_DATE


def _same_text(shown: str | None, sent: str | None) -> bool:
    return shown is not None and sent is not None and _plain(shown) == _plain(sent)


def _plain(text: str) -> str:
    # Providers trim, collapse blanks, change entities and compose accents on the way back; an entity that was sent as
    # such may be changed once more.
    for _ in range(3):
        text = html.unescape(text)
    return " ".join(unicodedata.normalize("NFC", text).split())
