"""Records what really happened at the simulated provider.

The one rule: an entry is added at the instant of the effect and never changed. It decides every question about
duplicates and losses.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from adapters.unipile.sandbox.messages import Write

__all__ = ["Effect", "Ledger"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One applied engagement. `at` is when it was applied, `received_at` when its request arrived (epoch seconds)."""

    n: int
    engagement_type: str
    account: str
    post_id: str
    text: str | None
    engagement_id: str | None
    at: float
    received_at: float
    dialect: str


class Ledger:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._effects: list[Effect] = []
        self._duplicates: list[Effect] = []
        self._seen: set[tuple[str, str, str, str | None]] = set()
        self._by_post: defaultdict[tuple[str, str], list[Effect]] = defaultdict(list)
        self._requests = 0
        # Like the platform: milliseconds and a counter. Two sandboxes in a row must not give the same id, nor may one
        # sandbox whose ledger was cleared: a database that outlives them would take one comment for another.
        self._ids = itertools.count(time.time_ns() // 1_000_000 << 22)

    def count_request(self) -> None:
        """One more request reached the provider, whatever happens to it."""
        with self._lock:
            self._requests += 1

    def apply(self, write: Write, received_at: float) -> Effect:
        """Apply an engagement."""
        with self._lock:
            n = len(self._effects) + 1
            effect = Effect(
                n=n,
                engagement_type=write.engagement_type,
                account=write.account,
                post_id=write.post_id,
                text=write.text,
                engagement_id=str(next(self._ids)) if write.engagement_type == "comment" else None,
                at=time.time(),
                received_at=received_at,
                dialect=write.dialect,
            )
            self._effects.append(effect)
            self._by_post[write.engagement_type, write.post_id].append(effect)
            key = (write.engagement_type, write.account, write.post_id, write.text)
            if key in self._seen:
                self._duplicates.append(effect)
            self._seen.add(key)
            return effect

    def on_post(self, engagement_type: str, post_id: str, until: float) -> list[Effect]:
        """A post's comments or likes as of `until`, newest first."""
        with self._lock:
            effects = list(self._by_post.get((engagement_type, post_id), ()))
        return [effect for effect in reversed(effects) if effect.at <= until]

    def as_json(self, since: int = 0) -> dict[str, Any]:
        """Effects numbered above `since`, the duplicates among all effects, and the number of requests."""
        with self._lock:
            effects, duplicates, requests = self._effects[max(since, 0) :], list(self._duplicates), self._requests
        return {
            "effects": [asdict(effect) for effect in effects],
            "requests": requests,
            "duplicates": [asdict(effect) for effect in duplicates],
        }

    def clear(self) -> None:
        """Delete everything."""
        with self._lock:
            self._effects.clear()
            self._duplicates.clear()
            self._seen.clear()
            self._by_post.clear()
            self._requests = 0
