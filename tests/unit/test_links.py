"""Every link of the pages leads somewhere, and every page is reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = _ROOT / "docs"
_PAGES = sorted([*_ROOT.glob("*.md"), *_DOCS.rglob("*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _anchor(heading: str) -> str:
    """As mkdocs makes it."""
    words = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has. Pages of docs/ link to pages of docs/ only."""
    for link in _LINK.findall(_prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if page.is_relative_to(_DOCS):
            assert target.is_relative_to(_DOCS), link
        if anchor:
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(_prose(target))}, link


def test_every_page_is_in_the_navigation() -> None:
    """But the single decisions, which their own page lists."""
    named = set(re.findall(r"^ +- (?:[^:\n]+: )?([\w/-]+\.md)$", (_ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(page.relative_to(_DOCS)) for page in _DOCS.rglob("*.md") if not page.name[0].isdigit()}
    assert named == pages
