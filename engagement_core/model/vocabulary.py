"""Stored words: each from a closed list of ours, which a newer release may have extended.

The one rule: a word that this release does not know is read, kept and written back unchanged. It is never an error, and
never treated as one of ours.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["OpenWord"]


class OpenWord(str, Enum):
    """An enumeration of text values. It reads any other text as a value of its own that equals no member."""

    @classmethod
    def _missing_(cls, value: object) -> OpenWord | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word

    @property
    def is_known(self) -> bool:
        """Whether this release knows the word."""
        return self._value_ in type(self)._value2member_map_
