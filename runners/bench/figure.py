"""A measured value, and the target that it should meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Figure", "Result", "Target", "at_least", "at_most"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A bound. A value equal to it meets the target."""

    bound: float
    is_upper: bool

    def is_met_by(self, value: float) -> bool:
        """Whether the value is on the right side of the bound."""
        return value <= self.bound if self.is_upper else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.is_upper else '≥'} {self.bound:g}"


def at_most(bound: float) -> Target:
    """The value must not be above it."""
    return Target(bound=bound, is_upper=True)


def at_least(bound: float) -> Target:
    """The value must not be below it."""
    return Target(bound=bound, is_upper=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """`name` is for programs and never changes; `label` is for people. A figure without a target is only reported."""

    name: str
    label: str
    value: float
    unit: str
    target: Target | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.target.is_met_by(self.value)

    def as_json(self) -> dict[str, Any]:
        """The shape that docs/reference/commands.md documents."""
        target = self.target
        return {
            "name": self.name,
            "label": self.label,
            "value": round(self.value, 4),
            "unit": self.unit,
            "target": None if target is None else {"at_most" if target.is_upper else "at_least": target.bound},
            "met": self.is_met,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one measurement found. `samples`: the single observations behind the figures, by name."""

    figures: tuple[Figure, ...]
    samples: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
