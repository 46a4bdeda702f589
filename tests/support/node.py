"""A Node service beside us, on the real BullMQ: it produces jobs, and sees what becomes of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from support.servers import refuse_without

__all__ = ["Node", "install_packages", "no_node", "started_node"]

_HERE = Path(__file__).parents[1] / "node"
_NPM_SECONDS = 100.0


@dataclass(frozen=True)
class Node:
    """`bull.mjs` as a running process."""

    process: subprocess.Popen[str]

    def ask(self, request: str, **options: Any) -> Any:
        """The answer to a request; an error over there is one here."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"request": request, **options}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "Node died"}')
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def add(self, *activity_ids: str, **opts: Any) -> list[str]:
        """One plain job for each of them, with its activity's id; the ids of the jobs."""
        jobs = [
            {"name": "execute-engagement", "data": {"activityId": each}, "opts": {"jobId": each, **opts}}
            for each in activity_ids
        ]
        ids: list[str] = self.ask("add", jobs=jobs)
        return ids

    def state(self, job_id: str) -> str | None:
        """What BullMQ calls the state of a job; None if there is none."""
        job = self.ask("job", id=job_id)
        return None if job is None else job["state"]


def install_packages(folder: Path, environ: Mapping[str, str]) -> Path:
    """The pinned BullMQ in `folder`, and `bull.mjs` beside it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        no_node("there is no node and npm on the PATH", environ)
    for file in _HERE.iterdir():
        shutil.copy(file, folder)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        no_node(f"npm ci has no answer from its registry within {_NPM_SECONDS} s", environ)
    if done.returncode != 0:
        no_node(f"npm ci failed: {done.stderr.strip()[-500:]}", environ)
    return folder


def no_node(reason: str, environ: Mapping[str, str]) -> NoReturn:
    """What a test does without Node: it fails where `CI` is set, unless CI says that it cannot be had."""
    refuse_without("NODE_AND_NPM", reason, environ)


@contextmanager
def started_node(folder: Path, redis_url: str, package: str = "bullmq") -> Iterator[Node]:
    """A Node process that has this package, until the end of the block."""
    with subprocess.Popen(
        ["node", "bull.mjs", package],
        cwd=folder,
        env={**os.environ, "REDIS_URL": redis_url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Node(process)
        finally:
            process.kill()
