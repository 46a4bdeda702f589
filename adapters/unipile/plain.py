"""Makes the provider's words safe for our rows and logs.

The one rule: no text of the provider reaches a row or a message unless it is short, printable and free of secrets.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["plain"]


def plain(text: str, *, limit: int, secrets: Iterable[str] = ()) -> str:
    """`text` on one line of at most `limit` characters.
    Control characters are removed, secrets are replaced by stars."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    printable = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
