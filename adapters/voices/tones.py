"""The words of a cartridge that has no phrases of its own: small English tables, one per tone.

The one rule: whole sentences only, so that they can stand before or after any comment. A cartridge in another
language must have its own phrases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FULL_FRAME", "STYLES", "TONES", "Tone"]

FULL_FRAME = "{opener} {text} {closer}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tone:
    """What may be said before and after a comment."""

    openers: tuple[str, ...]
    closers: tuple[str, ...]


TONES: Mapping[str, Tone] = MappingProxyType(
    {
        "casual": Tone(
            openers=("Nice one!", "Love seeing this.", "So true."),
            closers=("Thanks for putting this out there.", "Made my day.", "Good stuff."),
        ),
        "enthusiastic": Tone(
            openers=("Love this!", "This is fantastic!", "Wow!"),
            closers=("Can't wait to read more!", "So inspiring!", "Keep it coming!"),
        ),
        "friendly": Tone(
            openers=("Thank you for sharing this.", "So glad I came across this.", "This is lovely."),
            closers=("Looking forward to your next one.", "Wishing you all the best with it.", "Thanks again!"),
        ),
        "professional": Tone(
            openers=("Thank you for sharing this perspective.", "Well said.", "A valuable contribution."),
            closers=("I look forward to reading more.", "Much appreciated.", "A useful point for our field."),
        ),
        "thoughtful": Tone(
            openers=("This made me think.", "There is a lot in here.", "An interesting angle."),
            closers=("I will come back to this.", "Worth reflecting on.", "It stays with me."),
        ),
    }
)

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "concise": "{opener} {text}",
        "expressive": FULL_FRAME,
        "reflective": "{text} {closer}",
    }
)
