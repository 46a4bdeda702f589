"""Prometheus' own tool, for those who have it."""

from __future__ import annotations

import os
import shutil

import pytest

__all__ = ["needs_promtool"]

# Where `.ci/tools` could get it, it is there; a CI that has no way to get it says so itself and sets this.
_MAY_BE_MISSING = not os.environ.get("CI") or os.environ.get("PROMTOOL") == "missing"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and _MAY_BE_MISSING,
    reason="promtool is not installed (Debian and Ubuntu: apt-get install prometheus; macOS: brew install prometheus)",
)
"""Skips where there is no promtool. Where `CI` is set the test runs and fails, unless CI says that it cannot be had."""
