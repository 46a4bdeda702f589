"""Keeps out of PostgreSQL what it cannot store.

The one rule: whatever text a provider or a voice sends, storing it never fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["sanitize", "sanitize_deep"]


def sanitize(value: Any) -> Any:
    """A text without the characters that PostgreSQL cannot hold (NUL, lone surrogates).
    A mapping becomes JSON; any other value stays as it is."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return json.dumps(sanitize_deep(value), ensure_ascii=False)
    return value


def sanitize_deep(value: Any) -> Any:
    """The same for every text inside mappings and lists, which stay what they are."""
    if isinstance(value, Mapping):
        return {sanitize(str(key)): sanitize_deep(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [sanitize_deep(item) for item in value]
    return sanitize(value)
