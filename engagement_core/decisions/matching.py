"""Finds, among the engagements that a post shows, the one that an attempt sent.

The one rule: a comment is ours if its text and time match and no other activity claims it. While one might be ours,
absence is not proven. The provider's clock is not ours: a comment with the same text that seems a little older than our
request is neither accepted as ours nor ignored.
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

UNEXPLAINED = "the post shows a comment of the account that belongs to no known activity"
AMBIGUOUS = "the post shows a comment with this text that may belong to another activity"

_TOLERANCE = timedelta(seconds=5)
"""Allows for the difference of the provider's clock and the database's, and for dates truncated to the second."""
_SKEW = timedelta(minutes=10)
"""How far behind the provider's clock may be: a comment with the same text that is older is not ours."""
_NO_DATE = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """`ours` is what the attempt sent. If it is None, `reason` says why it may be there all the same."""

    ours: Found | None
    reason: str | None = None


def recognise(snapshot: Snapshot, attempt: Attempt, seen: Seen, *, since: datetime, lag: timedelta) -> Recognised:
    """Find what `attempt` sent among what was `seen`.

    Args:
        snapshot: `credited` are ids that belong to other activities; `neighbours` are what these sent to the same post.
        attempt: what was sent: its type and its text.
        seen: a complete read.
        since: when the first request was sent whose effect this may be.
        lag: how long after an attempt's deadline its effect may still be invisible.
    """
    free = _on_nobodys_record(snapshot, seen)
    recent = _not_before(since - _TOLERANCE, free)
    if attempt.engagement_type is EngagementType.LIKE:
        return Recognised(ours=recent[0] if recent else None)
    alike = [own for own in free if _same_text(own.text, attempt.text)]
    candidates = _not_before(since - _SKEW, alike)
    rivals = _rivals(snapshot, attempt, candidates)
    # An executed rival has posted one of the candidates, and no answer will say which. Only a further one may be ours.
    posted = [rival for rival in rivals if rival.effect is Effect.APPLIED]
    if any(_may_be_named(rival, snapshot.now, lag) for rival in rivals) or 0 < len(candidates) <= len(posted):
        return Recognised(ours=None, reason=AMBIGUOUS)
    fitting = _not_before(since - _TOLERANCE, candidates)
    if not fitting or not _are_theirs([own for own in candidates if own not in fitting], posted):
        strangers = candidates or _of_nobody(snapshot, recent)
        return Recognised(ours=None, reason=UNEXPLAINED if strangers else None)
    # Take the earliest that fits. A later one with the same text may be another activity's, and no other one fits that.
    return Recognised(ours=min(fitting, key=_date))


def _on_nobodys_record(snapshot: Snapshot, seen: Seen) -> list[Found]:
    named = snapshot.credited | {each.engagement_id for each in snapshot.neighbours if each.engagement_id is not None}
    # A comment that two pages show is one comment. An id that two different comments have says nothing about either.
    shown = tuple(dict.fromkeys(seen.own))
    bearers = Counter(own.engagement_id for own in shown)
    return [own for own in shown if own.engagement_id not in named or bearers[own.engagement_id] > 1]


def _not_before(at: datetime, shown: list[Found]) -> list[Found]:
    return [own for own in shown if own.created_at is None or own.created_at >= at]


def _of_nobody(snapshot: Snapshot, recent: list[Found]) -> list[Found]:
    """The comments that no neighbour without an id has sent: same text, same time. Each neighbour sent one."""
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
    """Neighbours that may have posted one of the candidates, under an id that no attempt has recorded."""
    nameless = [each for each in snapshot.neighbours if each.engagement_id is None]
    alike = [each for each in nameless if _same_text(each.text, attempt.text)]
    return [each for each in alike if any(_is_of_its_time(own, each, within=_SKEW) for own in candidates)]


def _are_theirs(shown: list[Found], posted: list[Attempt]) -> bool:
    """Whether a different neighbour explains each comment, so that none of them may be ours after all."""
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
    """Whether its answer may still come and name the comment that we would take. Once its own read-back is due, each of
    us takes one of the comments with the same text, and it does not matter which."""
    return rival.phase is Phase.SENDING or (rival.effect is Effect.UNKNOWN and now < rival.deadline_at + lag)


def _date(own: Found) -> datetime:
    return own.created_at or _NO_DATE


def _same_text(shown: str | None, sent: str | None) -> bool:
    return shown is not None and sent is not None and _plain(shown) == _plain(sent)


def _plain(text: str) -> str:
    # Providers trim, collapse blanks, change entities and compose accents in what they return. An entity that was sent
    # as such may be changed once more.
    for _ in range(3):
        text = html.unescape(text)
    return " ".join(unicodedata.normalize("NFC", text).split())
