"""Errors of embedded servers, in words for the person who must correct them.

The one rule: the message names the folder or the server, shows the last lines that the server wrote, and says what to
do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError

__all__ = ["EmbeddedServersFailed", "last_lines", "told_as_ours"]

_TAIL = 12


class EmbeddedServersFailed(Exception):
    """The servers cannot be started or stopped. Nothing of ours stays half started."""


def last_lines(text: str) -> str:
    """The end of a server's output, indented, or a note that it wrote nothing."""
    lines = text.strip().splitlines()[-_TAIL:]
    return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"


@contextmanager
def told_as_ours(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors while `folder` is used into ours. Only this function does so."""
    try:
        yield
    except OSError as error:
        raise EmbeddedServersFailed(
            f"The data folder {folder} cannot be used: {error}. Choose a folder that this user may write to."
        ) from error
    except SubprocessError as error:
        raise EmbeddedServersFailed(f"A server's program in {folder} did not answer: {error}") from error
