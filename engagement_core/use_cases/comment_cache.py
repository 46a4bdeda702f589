"""The comment cache: this process remembers which text the voice made for which comment.

The one rule: a text is used only for what it was made from. If the comment, its pod or the voice cartridge has changed
since, the cache has nothing for it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf

from engagement_core.decisions.comment_rules import choose_text
from engagement_core.model.activity import Activity, Pod, VoiceCartridge

__all__ = ["CacheEntry", "Comment", "CommentCache", "Spoken"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """The text to send. `reason` says why it is the original; `answered` says whether the voice answered at all."""

    text: str
    used_voice: bool
    reason: str | None
    answered: bool = True

    @classmethod
    def original(cls, activity: Activity, why: str) -> Spoken:
        """The original, because the voice gave no text."""
        text = choose_text(activity.comment_text or "", None).text
        return cls(text=text, used_voice=False, reason=why, answered=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """A comment that needs a text: all that a voice is given."""

    activity: Activity
    pod: Pod
    cartridge: VoiceCartridge

    @property
    def source(self) -> tuple[object, ...]:
        """What its text is made from."""
        return (self.activity.comment_text, self.pod.id, self.cartridge)


@dataclass(eq=False, kw_only=True, slots=True)
class CacheEntry:
    """What is known of one activity: its text, once `done` is set; or that it needs none (`source` is None).

    From `ask_again_at` on (seconds on the clock), the voice may be asked once more.
    """

    source: tuple[object, ...] | None
    spoken: Spoken
    ask_again_at: float = inf
    done: threading.Event = field(default_factory=threading.Event)


class CommentCache:
    """Entries by activity, at most `capacity`; the oldest is dropped first. Safe to use from several threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[str, CacheEntry] = {}
        self._lock = threading.Lock()

    def find(self, comment: Comment) -> CacheEntry | None:
        """The entry for exactly this comment, even if its text is not ready yet; None if there is none."""
        with self._lock:
            known = self._entries.get(comment.activity.id)
            return known if known is not None and known.source == comment.source else None

    def is_settled(self, activity_id: str, now: float) -> bool:
        """Whether there is nothing to prepare, at least for the moment."""
        with self._lock:
            known = self._entries.get(activity_id)
            return known is not None and known.ask_again_at > now

    def reserve(
        self, activity_id: str, comment: Comment | None, *, due_in: timedelta, ample: timedelta, now: float
    ) -> CacheEntry | None:
        """Reserve an entry for the text of `comment`. None: it needs no text, or another thread was quicker.

        If the voice failed before, it is asked again only if `due_in` is more than `ample`: the original must not wait
        for it.
        """
        with self._lock:
            known = self._entries.get(activity_id)
            if known is not None and known.ask_again_at > now:
                return None
            if known is not None and due_in <= ample:
                known.ask_again_at = inf
                return None
            if comment is None:
                self._keep(activity_id, CacheEntry(source=None, spoken=_NOTHING))
                return None
            entry = CacheEntry(
                source=comment.source, spoken=Spoken.original(comment.activity, "its preparation was interrupted")
            )
            self._keep(activity_id, entry)
            return entry

    def add(self, comment: Comment, spoken: Spoken) -> None:
        """Remember the text of a comment."""
        entry = CacheEntry(source=comment.source, spoken=spoken)
        entry.done.set()
        with self._lock:
            self._keep(comment.activity.id, entry)

    def forget(self, activity_id: str) -> None:
        """Drop the entry: nobody needs its text any more."""
        with self._lock:
            self._entries.pop(activity_id, None)

    def _keep(self, activity_id: str, entry: CacheEntry) -> None:
        self._entries.pop(activity_id, None)
        self._entries[activity_id] = entry
        while len(self._entries) > self._capacity:
            del self._entries[next(iter(self._entries))]


_NOTHING = Spoken(text="", used_voice=False, reason=None)
