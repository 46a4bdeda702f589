"""Which of the engagements that a post shows is the one that is looked for.

The one rule: what is ours is told by its words and its time, and can be nobody else's; and what might be ours forbids
to believe that nothing is. The provider's clock is not ours: a comment in the very same words that seems to
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
from engagement_core.lifecycle import Phase
from engagement_core.ports.activities import Snapshot
from engagement_core.ports.linkedin import Found, Seen

__all__ = ["RIVAL", "STRANGER", "Recognised", "recognise"]

STRANGER = "the post shows a comment of the account that nobody accounts for"
RIVAL = "the post shows a comment in these words that may be another activity's"

_TOLERANCE = timedelta(seconds=5)
"""The provider's clock against the database's, and dates that it truncates to the second."""
_SKEW = timedelta(minutes=10)
"""How far the provider's clock may be behind for a comment in the same words to be possibly ours."""
_NO_DATE = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """`ours` is the engagement that was looked for; without it, `doubt` says why it may be there all the same."""

    ours: Found | None
    doubt: str | None = None


def recognise(snapshot: Snapshot, attempt: Attempt, seen: Seen, *, since: datetime, lag: timedelta) -> Recognised:
    """What of `seen` is what `attempt` sent.

    Args:
        snapshot: `credited` are the ids that belong to other activities, `rivals` are those whose id nobody knows.
        attempt: what was sent: its type and its text.
        seen: a complete read.
        since: when the first request left whose effect this may be.
        lag: how long after its deadline an attempt's effect may still not be shown.
    """
    free = _on_nobodys_record(snapshot, seen)
    recent = [own for own in free if own.created_at is None or own.created_at >= since - _TOLERANCE]
    if attempt.engagement_type is EngagementType.LIKE:
        return Recognised(ours=recent[0] if recent else None)
    alike = [own for own in free if _same_text(own.text, attempt.text)]
    candidates = [own for own in alike if own.created_at is None or own.created_at >= since - _SKEW]
    rivals = [each for each in snapshot.rivals if _same_text(each.text, attempt.text)]
    if any(_may_be_of(rival, own, now=snapshot.now, lag=lag) for rival in rivals for own in candidates):
        return Recognised(ours=None, doubt=RIVAL)
    if not candidates or any(own not in recent for own in candidates):
        return Recognised(ours=None, doubt=STRANGER if recent or candidates else None)
    # The earliest that it can be: a later one of the same words may be another activity's, which can be none but that.
    return Recognised(ours=min(candidates, key=_date))


def _on_nobodys_record(snapshot: Snapshot, seen: Seen) -> list[Found]:
    # An id that two comments bear says nothing of either; one comment that two pages show is one.
    bearers = Counter(own.engagement_id for own in set(seen.own))
    return [own for own in seen.own if own.engagement_id not in snapshot.credited or bearers[own.engagement_id] > 1]


def _may_be_of(rival: Attempt, own: Found, *, now: datetime, lag: timedelta) -> bool:
    if rival.phase is Phase.UNKNOWN and now >= rival.deadline_at + lag:
        # It is judged by what is shown as we are: of two comments in the same words each takes one, and it is the same
        # which. Sooner its answer may still come, and name the one that we would take.
        return False
    if own.created_at is None or rival.began_at is None:
        return True
    is_later = rival.ended_at is not None and own.created_at > rival.ended_at + _SKEW
    return own.created_at >= rival.began_at - _SKEW and not is_later


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
