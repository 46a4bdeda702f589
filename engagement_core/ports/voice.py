"""The voice: rewrites a comment as the pod would say it (E-02)."""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline

__all__ = ["Voice", "VoiceFailed"]


class VoiceFailed(Exception):
    """The voice gave no usable text; the original text is used instead. The message says why."""


class Voice(Protocol):
    """Turns a comment's original text into the pod's own."""

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """The comment in the pod's voice; not yet checked against the comment rules.

        Raises:
            VoiceFailed: it failed, for any reason; the caller uses the original text.
        """
        ...
