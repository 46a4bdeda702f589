"""What gives a pod its voice (E-02)."""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline

__all__ = ["Voice", "VoiceFailed"]


class VoiceFailed(Exception):
    """The voice had nothing usable to say; the original text is used instead. The message says why."""


class Voice(Protocol):
    """Turns a comment's original text into the pod's own."""

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """The comment in the pod's voice; not yet checked against the comment rules.

        Raises:
            VoiceFailed: for whatever reason; the caller falls back.
        """
        ...
