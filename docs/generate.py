"""Writes the tables of the code into the pages that show them: `python docs/generate.py`.

The one rule: only this script writes between the two markers of a page. A test fails while a page is out of date.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from adapters.telemetry.events import EVENTS
from adapters.telemetry.metrics import METRICS
from engagement_core.model.errors import TAXONOMY
from engagement_core.model.lifecycle import TRANSITIONS, Phase
from runners.settings import VARIABLES, Variable

__all__ = ["PAGES", "current"]

_ROOT = Path(__file__).resolve().parent.parent


def lifecycle_section() -> str:
    """The state diagram, from the table of transitions."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, event), after in TRANSITIONS.items():
        arrows.setdefault((phase, after), []).append(event.value)
    lines = [f"    {one.value} --> {other.value}: {', '.join(events)}" for (one, other), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> scheduled", *lines, "```"])


def errors_section() -> str:
    """The table of errors, a row per cause."""
    lines = ["| cause | error_type | effect | scope | retryable | next step |", "|---|---|---|---|---|---|"]
    for cause, means in TAXONOMY.items():
        cells = (
            cause.value,
            means.error_type.value,
            means.effect.value,
            means.scope.value,
            "yes" if means.retryable else "no",
            means.next_step,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def events_section() -> str:
    """A row per signal."""
    lines = ["| event | level | meaning | fields |", "|---|---|---|---|"]
    for signal, event in EVENTS.items():
        level = logging.getLevelName(event.level).lower()
        fields = ", ".join(f"`{name}`" for name in event.fields)
        lines.append(f"| `{signal.value}` | {level} | {event.meaning} | {fields} |")
    return "\n".join(lines)


def metrics_section() -> str:
    """A row per metric."""
    lines = ["| metric | kind | meaning | labels |", "|---|---|---|---|"]
    for metric in METRICS:
        labels = "; ".join(
            f"`{name}`: {', '.join(f'`{value}`' for value in values)}" for name, values in metric.labels.items()
        )
        lines.append(f"| `{metric.name}` | {metric.kind.value} | {metric.meaning} | {labels} |")
    return "\n".join(lines)


def configuration_section() -> str:
    """A table of variables under each heading."""
    groups: dict[str, list[Variable]] = {}
    for variable in VARIABLES:
        groups.setdefault(variable.group, []).append(variable)
    lines = []
    for group, variables in groups.items():
        lines += [f"## {group}", "", "| variable | default | meaning |", "|---|---|---|"]
        for each in variables:
            default = each.instead or (f"`{each.default}`" if each.default else "")
            lines.append(f"| `{each.name}` | {default} | {each.meaning} |")
        lines.append("")
    return "\n".join(["", *lines]).rstrip()


def decisions_section() -> str:
    """A line for each decision: its own heading."""
    pages = sorted((_ROOT / "docs" / "adr").glob("[0-9]*.md"))
    headings = [page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for page in pages]
    return "\n".join(f"- [{heading}]({page.name})" for heading, page in zip(headings, pages, strict=True))


PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "README.md": ("lifecycle", lifecycle_section),
    "docs/reference/errors.md": ("errors", errors_section),
    "docs/reference/events.md": ("events", events_section),
    "docs/reference/metrics.md": ("metrics", metrics_section),
    "docs/reference/configuration.md": ("configuration", configuration_section),
    "docs/adr/index.md": ("decisions", decisions_section),
}


def current(page: str) -> tuple[str, str]:
    """The page as it is, and as it should be.

    Raises:
        ValueError: the page lacks its markers.
    """
    marker, section = PAGES[page]
    text = (_ROOT / page).read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{page} has no markers <!-- {marker} --> and <!-- /{marker} -->")
    return text, pattern.sub(lambda found: f"{found[1]}{section()}\n{found[2]}", text)


def main() -> None:
    """Bring every page up to date."""
    for page in PAGES:
        (_ROOT / page).write_text(current(page)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
