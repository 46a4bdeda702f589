"""No voice (`VOICE_PROVIDER=none`): the original comment, unchanged."""

from __future__ import annotations

from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import Voice, VoiceFailed

__all__ = ["NoVoice"]


class NoVoice(Voice):
    """Returns the activity's own comment."""

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:  # noqa: ARG002 - the port's signature
        """The original comment.

        Raises:
            VoiceFailed: the activity has none.
        """
        if activity.comment_text is None:
            raise VoiceFailed("the activity has no comment")
        return activity.comment_text
