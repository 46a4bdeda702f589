"""The peers: how each is started and given orders, and how their packages are installed for one run.

The one rule: a peer that cannot be had here is left out, and the page says so and why.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HERE", "PEERS", "THREADS", "Installed", "Peer", "install"]

HERE = Path(__file__).resolve().parent
THREADS = 5
_NPM_SECONDS = 120
_TOLD = re.compile(r"^(?:celery|dramatiq|huey|requests|rq)==.*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The commands that start a peer and give it orders: the arguments after its Python, or after node.

    A peer without `enqueue` gets its orders when it starts.
    """

    name: str
    work: tuple[str, ...]
    processes: int = 1
    enqueue: tuple[str, ...] | None = None
    is_node: bool = False

    @property
    def knows_time(self) -> bool:
        """Whether it can take an order for a later time."""
        return self.enqueue is not None


PEERS = (
    Peer(
        name="BullMQ (Node)",
        work=("peer_bullmq.cjs", "work"),
        enqueue=("peer_bullmq.cjs",),
        is_node=True,
    ),
    Peer(
        name="Dramatiq, threads",
        work=("-m", "dramatiq", "peer_dramatiq", "--processes", "1", "--threads", str(THREADS)),
        enqueue=("peer_dramatiq.py",),
    ),
    Peer(
        name="Huey, threads",
        work=("peer_huey.py", "work"),
        enqueue=("peer_huey.py",),
    ),
    Peer(
        name="Celery, threads",
        work=("-m", "celery", "-A", "peer_celery", "worker", "-P", "threads", "-c", str(THREADS), "-l", "WARNING"),
        enqueue=("peer_celery.py",),
    ),
    Peer(
        name="RQ, 5 SimpleWorkers",
        work=("peer_rq.py", "work"),
        processes=THREADS,
        enqueue=("peer_rq.py",),
    ),
    Peer(name="bare loop, requests", work=("peer_loop.py", "requests")),
    Peer(name="bare loop, http.client", work=("peer_loop.py", "http.client")),
)


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Where the packages are. Without `node_modules`, `lack` says why there is no Node peer."""

    python: Path
    versions: str
    node_modules: Path | None
    lack: str = ""

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Those that can be started."""
        return tuple(peer for peer in PEERS if self.node_modules is not None or not peer.is_node)

    @property
    def left_out(self) -> str:
        """A sentence for the page; empty if nobody is left out."""
        names = ", ".join(peer.name for peer in PEERS if peer not in self.peers)
        return f"Left out: {names}, because {self.lack}." if names else ""

    def command(self, peer: Peer, words: tuple[str, ...]) -> list[str]:
        """The whole command."""
        program = str(shutil.which("node")) if peer.is_node else str(self.python)
        return [program, *(str(HERE / word) if word.endswith((".py", ".cjs")) else word for word in words)]


def install(folder: Path) -> Installed:
    """Install the packages into `folder`.

    Raises:
        CalledProcessError: pip failed.
    """
    sys.stderr.write("Installing the peers ...\n")
    venv.create(folder / "python", with_pip=True)
    python = folder / "python" / "bin" / "python"
    _pip(python, "install", "--quiet", "-r", str(HERE / "requirements.txt"))
    versions = _TOLD.findall(_pip(python, "freeze"))
    lack = node_packages(folder / "node")
    if not lack:
        versions += [f"{name}=={version}" for name, version in _pinned("bullmq", "ioredis", "pg", "undici")]
    return Installed(
        python=python,
        versions=", ".join(versions).replace("==", " "),
        node_modules=None if lack else folder / "node" / "node_modules",
        lack=lack,
    )


def _pip(python: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        [python, "-m", "pip", *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def node_packages(folder: Path) -> str:
    """Why they cannot be had; empty if they were installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no node and npm here"
    folder.mkdir()
    shutil.copy(HERE / "package.json", folder)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=folder, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm had no answer from its registry within {_NPM_SECONDS} s"
    return "" if done.returncode == 0 else "npm could not install its packages"


def _pinned(*names: str) -> list[tuple[str, str]]:
    text = (HERE / "package.json").read_text(encoding="utf-8")
    return [(name, version) for name, version in re.findall(r'"(\w+)": "([\d.]+)"', text) if name in names]
