"""What goes wrong with embedded servers, in words for the person who must put it right.

The one rule: the message names the folder or the server, carries the last lines that it wrote, and says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError

__all__ = ["EmbeddedServersFailed", "last_lines", "told_as_ours"]

_TAIL = 12


class EmbeddedServersFailed(Exception):
    """The servers cannot be started or stopped; nothing of ours was left half started."""


def last_lines(text: str) -> str:
    """The end of a server's output, indented, or a note that it wrote nothing."""
    lines = text.strip().splitlines()[-_TAIL:]
    return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"


@contextmanager
def told_as_ours(folder: Path) -> Iterator[None]:
    """Map what the operating system raises while `folder` is used; the only place that does so."""
    try:
        yield
    except OSError as error:
        raise EmbeddedServersFailed(
            f"The data folder {folder} cannot be used: {error}. Choose a folder that this user may write to."
        ) from error
    except SubprocessError as error:
        raise EmbeddedServersFailed(f"A server's program in {folder} did not answer: {error}") from error
