"""The result of a whole bench, and its JSON for programs (docs/reference/commands.md has the shape)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runners.bench.figure import Figure

__all__ = ["Report"]

_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """`machine` describes where it was measured: without it, no figure means anything."""

    started_at: datetime
    is_quick: bool
    machine: Mapping[str, Any]
    figures: tuple[Figure, ...]
    samples: Mapping[str, tuple[float, ...]]

    @property
    def is_met(self) -> bool:
        """Whether no target is missed."""
        return all(figure.is_met is not False for figure in self.figures)

    def value(self, name: str) -> float | None:
        """A figure's value; None if it was not measured."""
        return next((figure.value for figure in self.figures if figure.name == name), None)

    def as_json(self) -> dict[str, Any]:
        """The shape that docs/reference/commands.md documents."""
        return {
            "version": _VERSION,
            "started_at": self.started_at.isoformat(),
            "quick": self.is_quick,
            "machine": dict(self.machine),
            "met": self.is_met,
            "figures": [figure.as_json() for figure in self.figures],
            "samples": {name: list(values) for name, values in self.samples.items()},
        }
