"""A voice for tests: it says what it was told to say, and remembers for whom it spoke."""

from __future__ import annotations

from collections.abc import Callable

from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import Voice, VoiceFailed

__all__ = ["InMemoryVoice"]


def _at_once(activity: Activity, deadline: Deadline) -> None:
    """The voice that takes no time."""


class InMemoryVoice(Voice):
    """Repeats the original until it is told otherwise.

    `spoken_for` lists the ids of the activities it was asked to speak for, in order, failures included.
    `before_speaking` is called first each time: a test lets time pass there, or something else happen.
    """

    def __init__(self, before_speaking: Callable[[Activity, Deadline], None] = _at_once) -> None:
        self.spoken_for: list[str] = []
        self.before_speaking = before_speaking
        self._says: dict[str, str] = {}
        self._fails: dict[str, str] = {}

    def will_say(self, activity_id: str, text: str) -> None:
        """From now on, say this for that activity."""
        self._fails.pop(activity_id, None)
        self._says[activity_id] = text

    def will_fail(self, activity_id: str, reason: str) -> None:
        """From now on, fail for that activity."""
        self._fails[activity_id] = reason

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """What it was told to say, else the original.

        Raises:
            VoiceFailed: it was told to fail, or the activity has no comment.
        """
        self.spoken_for.append(activity.id)
        self.before_speaking(activity, deadline)
        if activity.id in self._fails:
            raise VoiceFailed(self._fails[activity.id])
        if activity.comment_text is None:
            raise VoiceFailed("the activity has no comment")
        return self._says.get(activity.id, activity.comment_text)
