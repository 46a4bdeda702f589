"""The provider of the bench: the sandbox, in its own process, used over HTTP.

The one rule: only its ledger counts. Nothing is measured by what the worker reports about itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runners.bench.failure import BenchFailed
from runners.bench.process import Process

__all__ = ["Provider", "provider"]

_URL = re.compile(r"http://\S+:\d+(?=\s)")
_ANSWERS_WITHIN = 10.0
_NO_EFFECTS = 10**9


class Provider:
    """A running sandbox at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def effects(self) -> list[dict[str, Any]]:
        """The engagements that really happened, in the ledger's order (docs/reference/sandbox.md)."""
        effects: list[dict[str, Any]] = self._ask("GET", "/_ledger")["effects"]
        return effects

    def duplicates(self) -> int:
        """How many effects repeat an earlier one."""
        return len(self._ask("GET", f"/_ledger?since={_NO_EFFECTS}")["duplicates"])

    def requests(self) -> int:
        """How many requests have reached it."""
        return int(self._ask("GET", f"/_ledger?since={_NO_EFFECTS}")["requests"])

    def take(self, faults: list[dict[str, Any]]) -> None:
        """Apply these faults from now on. Requests that have already arrived are answered as before."""
        self._ask("POST", "/_faults", faults)

    def forget(self) -> None:
        """Empty the ledger, and remove all faults."""
        self._ask("POST", "/_reset")
        self.take([])

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        place = urlsplit(self.url)
        try:
            with closing(HTTPConnection(str(place.hostname), place.port, timeout=_ANSWERS_WITHIN)) as connection:
                connection.request(method, path, None if body is None else json.dumps(body))
                answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError) as error:
            raise BenchFailed(f"the sandbox does not answer: {error}") from error
        return answer


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """A sandbox that runs until the end of the `with` block.

    Raises:
        BenchFailed: it does not start.
    """
    with Process.of_engagement("sandbox", "--port", "0", log=folder / "sandbox.log") as process:
        said = process.wait_until_it_says("/_ledger\n")
        found = _URL.search(said)
        if found is None:
            raise BenchFailed(f"the sandbox did not print its address: {said}")
        yield Provider(found[0])
