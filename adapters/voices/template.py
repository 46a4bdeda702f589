"""The built-in voice (`VOICE_PROVIDER=template`): a cartridge's phrases around the original comment, or instead of it.

The one rule: an activity always gets the same words, in every process and on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from adapters.voices.cartridge_templates import PLACEHOLDER, Templates, matching_key, read_templates
from adapters.voices.tones import FULL_FRAME, STYLES, TONES
from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import Voice, VoiceFailed

__all__ = ["TemplateVoice"]


class TemplateVoice(Voice):
    """Speaks with the cartridge's `templates`.
    What they do not give, `tone` and `personality_style` decide. Needs no network."""

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:  # noqa: ARG002 - the port's signature
        """The comment in the pod's voice, or unchanged if the cartridge gives nothing for it.

        Raises:
            VoiceFailed: the activity has no comment, or the cartridge's templates are malformed.
        """
        if activity.comment_text is None:
            raise VoiceFailed("the activity has no comment")
        templates = read_templates(cartridge.templates)
        rewrites = templates.rewrites.get(matching_key(activity.comment_text))
        if rewrites:
            return _pick(rewrites, activity.id, "rewrite")
        return _framed(activity.comment_text.strip(), activity.id, cartridge, templates)


def _framed(text: str, activity_id: str, cartridge: VoiceCartridge, templates: Templates) -> str:
    tone = TONES.get(_word(cartridge.tone))
    openers = templates.openers if templates.openers is not None else tone.openers if tone else ()
    closers = templates.closers if templates.closers is not None else tone.closers if tone else ()
    frames = templates.comments or (STYLES.get(_word(cartridge.personality_style), FULL_FRAME),)
    said = {
        "opener": _pick(openers, activity_id, "opener"),
        "text": text,
        "closer": _pick(closers, activity_id, "closer"),
    }
    frame = _without_gaps(_pick(frames, activity_id, "comment"), said)
    # In one pass, so that no part of the original is taken for a placeholder.
    return PLACEHOLDER.sub(lambda found: said[found[1]], frame)


def _without_gaps(frame: str, said: dict[str, str]) -> str:
    """The frame without its unused placeholders, and without the spaces that they would leave."""
    kept = PLACEHOLDER.sub(lambda found: found[0] if said[found[1]] else "", frame)
    return re.sub(r" {2,}", " ", kept).strip()


def _word(name: str | None) -> str:
    return (name or "").strip().casefold()


def _pick(choices: Sequence[str], activity_id: str, part: str) -> str:
    """One of the choices, or nothing if there is none.
    It does not use `hash`, which differs from process to process."""
    if not choices:
        return ""
    digest = sha256(f"{part}:{activity_id}".encode("utf-8", "surrogatepass")).digest()
    return choices[int.from_bytes(digest[:8], "big") % len(choices)]
