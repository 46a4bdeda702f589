"""Everything that can be set, by environment variables or a `.env` file."""

from __future__ import annotations

from runners.settings.reading import read_settings
from runners.settings.settings import VARIABLES, Settings
from runners.settings.variable import SettingsProblem, Variable

__all__ = ["VARIABLES", "Settings", "SettingsProblem", "Variable", "read_settings"]
