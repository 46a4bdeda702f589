"""Draws lateness and speed for the documentation.

The one rule: this file writes plain SVG itself. It needs no library, and a diff of the text shows what changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from runners.bench.distribution import quantile
from runners.bench.report import Report

__all__ = ["DRAWN", "Panels", "draw", "panels_of"]

DRAWN = frozenset({"drain", "lateness"})
"""The measurements that can be drawn."""

_COLOURS = ("#1f5fa8", "#c4561d", "#2f7d4f", "#7a4fa3", "#8a6d1b", "#555555", "#b0307a", "#1b8a8a")
_WIDTH, _PANEL_HEIGHT, _LEFT, _RIGHT = 760, 260, 150, 30
_DECADES = (-1, 4)
"""The logarithms of the ends of the lateness axis, in ms. Values beyond it are drawn at its edge."""

_AXIS = ("0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s")

_POINTS = 200
_BAR, _BAR_GAP, _LINE = 18, 12, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """What to draw. `lateness_ms`: the observations of each series. `jobs_per_second`: the value of each bar."""

    lateness_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    jobs_per_second: Mapping[str, float] = field(default_factory=dict)


def panels_of(report: Report) -> Panels:
    """The parts of a report that can be drawn."""
    late = report.samples.get("lateness_ms")
    rates = {
        "5 threads": report.value("drain_rate"),
        "20 threads": report.value("drain_rate_20_threads"),
        "half comments": report.value("drain_rate_comments"),
    }
    return Panels(
        lateness_ms={"engagement": late} if late else {},
        jobs_per_second={label: rate for label, rate in rates.items() if rate is not None},
    )


def draw(panels: Panels) -> str:
    """The whole drawing, as the text of an SVG file."""
    parts: list[str] = []
    height = 20
    if panels.lateness_ms:
        parts += _distribution(panels.lateness_ms, top=height)
        height += _PANEL_HEIGHT + 60 + _LINE * len(panels.lateness_ms)
    if panels.jobs_per_second:
        parts += _bars(panels.jobs_per_second, top=height)
        height += 40 + len(panels.jobs_per_second) * (_BAR + _BAR_GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def _distribution(series: Mapping[str, Sequence[float]], *, top: int) -> list[str]:
    """For each series, the share of activities that were called within a lateness."""
    floor = top + _PANEL_HEIGHT
    parts = [_text(_LEFT, top, "Share of activities called within so many ms of their time", weight="bold")]
    for decade in range(_DECADES[0], _DECADES[1] + 1):
        x = _x_of(10.0**decade)
        parts.append(_line(x, top + 20, x, floor))
        parts.append(_text(x, floor + 16, _AXIS[decade - _DECADES[0]], anchor="middle"))
    for share in (0.0, 0.5, 0.99, 1.0):
        y = _y_of(share, top)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y))
        if share != 0.99:  # noqa: PLR2004 - its label would overlap the next one
            parts.append(_text(_LEFT - 8, y + 4, f"{share:.0%}", anchor="end"))
    for number, (label, observations) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(_curve(observations, top, colour))
        told = f"{label}: p50 {quantile(observations, 0.5):,.1f}, p99 {quantile(observations, 0.99):,.1f} ms"
        early = sum(each < 0 for each in observations)
        told += f", {early:,} early" if early else ""
        parts.append(_text(_LEFT, floor + 20 + _LINE * (number + 1), told, colour=colour))
    return parts


def _curve(observations: Sequence[float], top: int, colour: str) -> str:
    shares = [number / _POINTS for number in range(1, _POINTS + 1)]
    points = " ".join(f"{_x_of(quantile(observations, share)):.1f},{_y_of(share, top):.1f}" for share in shares)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _bars(rates: Mapping[str, float], *, top: int) -> list[str]:
    parts = [_text(_LEFT, top, "Worked off per second", weight="bold")]
    per_job = (_WIDTH - _LEFT - _RIGHT - 60) / max(*rates.values(), 1.0)
    for number, (label, rate) in enumerate(rates.items()):
        y = top + 14 + number * (_BAR + _BAR_GAP)
        width = rate * per_job
        parts.append(_text(_LEFT - 8, y + 13, label, anchor="end"))
        parts.append(
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        )
        parts.append(_text(_LEFT + width + 6, y + 13, f"{rate:,.0f}"))
    return parts


def _x_of(ms: float) -> float:
    first, last = _DECADES
    decade = min(max(math.log10(max(ms, 10.0**first)), first), last)
    return _LEFT + (decade - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)


def _y_of(share: float, top: int) -> float:
    return top + 20 + (1 - share) * (_PANEL_HEIGHT - 20)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = "#222") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
