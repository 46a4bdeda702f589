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

from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Attempt
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Phase
from engagement_core.model.provider import Found, Seen
from engagement_core.model.snapshot import Snapshot

__all__ = ["AMBIGUOUS", "UNEXPLAINED", "Recognised", "recognise"]

UNEXPLAINED = "the post shows a comment of the account that nobody accounts for"
AMBIGUOUS = "the post shows a comment in these words that may be another activity's"

_TOLERANCE = timedelta(seconds=5)
"""The provider's clock against the database's, and dates that it truncates to the second."""
_SKEW = timedelta(minutes=10)
"""How far the provider's clock may be behind for a comment in the same words to be possibly ours."""
_NO_DATE = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """`ours` is the engagement that was looked for; without it, `reason` says why it may be there all the same."""

    ours: Found | None
    reason: str | None = None


def recognise(snapshot: Snapshot, attempt: Attempt, seen: Seen, *, since: datetime, lag: timedelta) -> Recognised:
    """What of `seen` is what `attempt` sent.

    Args:
        snapshot: `credited` are ids that belong to other activities, `neighbours` what those sent to the same post.
        attempt: what was sent: its type and its text.
        seen: a complete read.
        since: when the first request left whose effect this may be.
        lag: how long after its deadline an attempt's effect may still not be shown.
    """
    free = _on_nobodys_record(snapshot, seen)
    recent = _not_before(since - _TOLERANCE, free)
    if attempt.engagement_type is EngagementType.LIKE:
        return Recognised(ours=recent[0] if recent else None)
    alike = [own for own in free if _same_text(own.text, attempt.text)]
    candidates = _not_before(since - _SKEW, alike)
    rivals = _rivals(snapshot, attempt, candidates)
    # A rival that is executed has posted one of them, and no answer will tell which: what is more may be ours.
    posted = [rival for rival in rivals if rival.effect is Effect.APPLIED]
    if any(_may_be_named(rival, snapshot.now, lag) for rival in rivals) or 0 < len(candidates) <= len(posted):
        return Recognised(ours=None, reason=AMBIGUOUS)
    fitting = _not_before(since - _TOLERANCE, candidates)
    if not fitting or not _are_theirs([own for own in candidates if own not in fitting], posted):
        strangers = candidates or _of_nobody(snapshot, recent)
        return Recognised(ours=None, reason=UNEXPLAINED if strangers else None)
    # The earliest that it can be: a later one of the same words may be another activity's, which can be none but that.
    return Recognised(ours=min(fitting, key=_date))


def _on_nobodys_record(snapshot: Snapshot, seen: Seen) -> list[Found]:
    named = snapshot.credited | {each.engagement_id for each in snapshot.neighbours if each.engagement_id is not None}
    # One comment that two pages show is one; an id that two comments bear says nothing of either.
    shown = tuple(dict.fromkeys(seen.own))
    bearers = Counter(own.engagement_id for own in shown)
    return [own for own in shown if own.engagement_id not in named or bearers[own.engagement_id] > 1]


def _not_before(at: datetime, shown: list[Found]) -> list[Found]:
    return [own for own in shown if own.created_at is None or own.created_at >= at]


def _of_nobody(snapshot: Snapshot, recent: list[Found]) -> list[Found]:
    """Those that are not, word for word, what a neighbour without an id has sent at that time: each sent one."""
    left = [each for each in snapshot.neighbours if each.engagement_id is None]
    found = []
    for own in recent:
        author = next((each for each in left if _has_sent(each, own)), None)
        if author is None:
            found.append(own)
        else:
            left.remove(author)
    return found


def _has_sent(neighbour: Attempt, own: Found) -> bool:
    return _same_text(own.text, neighbour.text) and _is_of_its_time(own, neighbour, within=_SKEW)


def _rivals(snapshot: Snapshot, attempt: Attempt, candidates: list[Found]) -> list[Attempt]:
    """Neighbours that may have posted one of the candidates, under an id that is on nobody's record."""
    nameless = [each for each in snapshot.neighbours if each.engagement_id is None]
    alike = [each for each in nameless if _same_text(each.text, attempt.text)]
    return [each for each in alike if any(_is_of_its_time(own, each, within=_SKEW) for own in candidates)]


def _are_theirs(shown: list[Found], posted: list[Attempt]) -> bool:
    """Each comment is explained by a neighbour of its own, so that none of them may be ours after all."""
    left = list(posted)
    for own in shown:
        author = next((each for each in left if _is_of_its_time(own, each, within=_TOLERANCE)), None)
        if author is None:
            return False
        left.remove(author)
    return True


def _is_of_its_time(own: Found, sent: Attempt, *, within: timedelta) -> bool:
    if own.created_at is None or sent.began_at is None:
        return True
    is_later = sent.ended_at is not None and own.created_at > sent.ended_at + within
    return own.created_at >= sent.began_at - within and not is_later


def _may_be_named(rival: Attempt, now: datetime, lag: timedelta) -> bool:
    """Its answer may still come, and name the comment that we would take. Once its own read-back is due, each of us
    takes one of those in the same words, and it is the same which."""
    return rival.phase is Phase.SENDING or (rival.effect is Effect.UNKNOWN and now < rival.deadline_at + lag)


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
