"""`engagement doctor` checks everything that a worker depends on, and changes nothing. Start with `examine.py`."""

from __future__ import annotations

from runners.doctor.context import Context
from runners.doctor.examine import CHECKS, Check, examine
from runners.doctor.finding import Finding, Level

__all__ = ["CHECKS", "Check", "Context", "Finding", "Level", "examine"]
