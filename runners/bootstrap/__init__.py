"""The only place that constructs adapters."""

from __future__ import annotations

from runners.bootstrap.app import App, build_monitor, build_worker, new_worker_id, open_app
from runners.bootstrap.parts import connections_of
from runners.bootstrap.provider import open_provider
from runners.bootstrap.queue import build_queue, queue_kind
from runners.bootstrap.use_cases import claim_policy
from runners.bootstrap.voice import needed_by_voice

__all__ = [
    "App",
    "build_monitor",
    "build_queue",
    "build_worker",
    "claim_policy",
    "connections_of",
    "needed_by_voice",
    "new_worker_id",
    "open_app",
    "open_provider",
    "queue_kind",
]
