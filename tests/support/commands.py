"""The command line as the tests use it, and a database to use it on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from click.testing import CliRunner, Result

from runners.cli.main import engagement

__all__ = ["Commands", "add_rows", "execute", "left_behind", "started"]

_UNSET = (
    "DATABASE_URL",
    "REDIS_URL",
    "UNIPILE_API_KEY",
    "UNIPILE_DSN",
    "UNIPILE_BASE_URL",
    "LOG_LEVEL",
    "NO_COLOR",
    "FORCE_COLOR",
)


@dataclass(frozen=True, kw_only=True)
class Commands:
    """`engagement` with these variables set, and no others of ours."""

    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Result:
        """Run a command in this process; a defect comes out as an exception."""
        environ = {**dict.fromkeys(_UNSET), **self.environ}
        result = CliRunner().invoke(engagement, list(arguments), input=stdin, env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str) -> dict[str, Any]:
        """What a command that must succeed prints with `--json`."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        told: dict[str, Any] = json.loads(result.stdout)
        assert told["version"] == 1
        return told

    def refused(self, *arguments: str, code: int = 2, stdin: bytes | None = None) -> str:
        """The one line of a command that must fail with `code` and print nothing else."""
        result = self(*arguments, stdin=stdin)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, result.stderr
        return errors[0].removeprefix("Error: ")


@contextmanager
def started(
    *arguments: str, environ: Mapping[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """`engagement` as a process of its own, its output piped unless `options` say otherwise; killed at the end."""
    command = [sys.executable, "-m", "runners", *arguments]
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        command,
        env={**kept, "PYTHONPATH": path, **(environ or {})},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def left_behind(folder: Path) -> list[str]:
    """The processes, by folder and command line, that have to do with `folder`."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        where = f"{process.info['cwd']} {' '.join(process.info['cmdline'] or ())}"
        if str(folder) in where:
            found.append(where)
    return found


def execute(database_url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run a statement and commit; its rows, if it has any."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        # Without parameters a "%" stands for itself; an empty tuple would have the driver read it.
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def add_rows(database_url: str, *activity_ids: str, status: str = "scheduled") -> None:
    """Pod pod-1 with its account acc-1, and likes of it that were due a minute ago."""
    execute(
        database_url,
        """
        INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id) VALUES ('acc-1', 'profile-1', 'u-1')
            ON CONFLICT DO NOTHING;
        INSERT INTO pods (id, linkedin_account_id) VALUES ('pod-1', 'acc-1') ON CONFLICT DO NOTHING;
        INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for, status)
        SELECT id, 'pod-1', 'like', 'urn:li:activity:1', now() - interval '1 minute', %s FROM unnest(%s::text[]) id
        """,
        status,
        list(activity_ids),
    )
