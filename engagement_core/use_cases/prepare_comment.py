"""Use case: get the text of a comment from the voice, ahead of time if asked, and pay for it once.

The one rule: a voice may cost time or money, never a comment. Whatever it does, there is a text.

This process keeps a text until the activity is done. An attempt that has a text already needs no other one.
"""

from __future__ import annotations

from datetime import timedelta

from engagement_core.decisions.claim import frozen_text
from engagement_core.decisions.comment_rules import choose_text
from engagement_core.decisions.validation import problems_of
from engagement_core.model.activity import Activity, EngagementType, Pod, PublicStatus, VoiceCartridge
from engagement_core.model.decision import Decision
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice, VoiceFailed
from engagement_core.use_cases.comment_cache import Comment, CommentCache, Spoken

__all__ = ["Preparer"]

_ASK_AGAIN_AFTER = timedelta(seconds=15)
_NEVER = timedelta(0)


class Preparer:
    """Asks the voice once for each activity, and remembers its text. Safe to use from several threads."""

    def __init__(
        self,
        *,
        store: ActivityStore,
        voice: Voice,
        telemetry: Telemetry,
        clock: Clock,
        timeout: timedelta = timedelta(seconds=10),
        capacity: int = 2_000,
    ) -> None:
        """
        Args:
            store: `prepare` reads from it; nothing is written.
            voice: the voice to ask.
            telemetry: receives an event for each comment that was prepared ahead.
            clock: measures the timeout.
            timeout: the longest time that the voice may take for one comment.
            capacity: how many activities are remembered.
        """
        self._store = store
        self._voice = voice
        self._telemetry = telemetry
        self._clock = clock
        self._timeout = timeout
        self._cache = CommentCache(capacity)

    def prepare(self, activity_id: str) -> bool:
        """Ask the voice ahead of time if this comment waits and has no text yet. Returns whether the voice was asked.

        If the voice gave no answer, it is asked again after a while, as long as there is time before the comment is
        due.

        Raises:
            StoreUnavailable: the database failed or could not be reached.
            Exception: its row cannot be read; it is not tried again.
        """
        started = self._clock.elapsed()
        if self._cache.is_settled(activity_id, started):
            return False
        try:
            comment, due_in = self._store.change(activity_id, _look)
        except Exception as error:
            if isinstance(error, StoreRefused) or not isinstance(error, StoreUnavailable):
                # The row cannot be read: its claim will say so. Until then it must not keep other comments waiting.
                self._cache.reserve(activity_id, None, due_in=_NEVER, ample=self._timeout, now=started)
            raise
        entry = self._cache.reserve(activity_id, comment, due_in=due_in, ample=self._timeout, now=started)
        if comment is None or entry is None:
            return False
        try:
            entry.spoken = self._ask(comment, Deadline.after(self._clock, self._timeout))
            if not entry.spoken.answered:
                entry.ask_again_at = self._clock.elapsed() + _ASK_AGAIN_AFTER.total_seconds()
        finally:
            entry.done.set()
        self._telemetry.emit(
            Signal.COMMENT_PREPARED,
            activity_id=activity_id,
            pod_id=comment.pod.id,
            ahead=True,
            fell_back=entry.spoken.reason is not None,
            used_voice=entry.spoken.used_voice,
            reason=entry.spoken.reason,
            duration_ms=round((self._clock.elapsed() - started) * 1000, 3),
        )
        return True

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge | None, deadline: Deadline) -> Spoken:
        """The text to send now: the prepared one, else the voice's, else the original. Never raises.

        It waits for a preparation that is running. Neither takes longer than the timeout or the deadline.
        """
        if cartridge is None:
            return Spoken.original(activity, "the pod has no voice cartridge")
        comment = Comment(activity=activity, pod=pod, cartridge=cartridge)
        left = max(min(self._timeout.total_seconds(), deadline.remaining()), 0)
        entry = self._cache.find(comment)
        if entry is None:
            spoken = self._ask(comment, Deadline(self._clock, self._clock.elapsed() + left))
            self._cache.add(comment, spoken)
            return spoken
        if not entry.done.wait(left):
            return Spoken.original(activity, "its preparation is still running")
        return entry.spoken

    def forget(self, activity_id: str) -> None:
        """The activity is done: nobody needs its text any more."""
        self._cache.forget(activity_id)

    def _ask(self, comment: Comment, deadline: Deadline) -> Spoken:
        try:
            said = self._voice.speak(comment.activity, comment.pod, comment.cartridge, deadline)
        except VoiceFailed as error:
            return Spoken.original(comment.activity, str(error))
        except Exception as error:  # noqa: BLE001 - a defect in a voice must not cost the comment
            return Spoken.original(comment.activity, f"the voice failed unexpectedly: {type(error).__name__}")
        chosen = choose_text(comment.activity.comment_text or "", said)
        return Spoken(text=chosen.text, used_voice=chosen.used_voice, reason="; ".join(chosen.problems) or None)


def _look(snapshot: Snapshot) -> Decision[tuple[Comment | None, timedelta]]:
    """The comment, if it waits and has no text yet, and in how long it is due. Nothing is written."""
    activity, pod, cartridge = snapshot.activity, snapshot.pod, snapshot.cartridge
    if not isinstance(activity, Activity) or pod is None or cartridge is None or not _waits(snapshot, activity):
        return Decision((None, _NEVER))
    if problems_of(snapshot, activity) or frozen_text(snapshot, activity) is not None:
        return Decision((None, _NEVER))
    return Decision((Comment(activity=activity, pod=pod, cartridge=cartridge), activity.due_at - snapshot.now))


def _waits(snapshot: Snapshot, activity: Activity) -> bool:
    is_comment = activity.engagement_type is EngagementType.COMMENT
    is_scheduled = activity.status == PublicStatus.SCHEDULED.value
    return is_comment and is_scheduled and not any(attempt.may_have_had_effect for attempt in snapshot.attempts)
