"""How a process is wired: no listener of it can harm what it listens to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from engagement_core.model.signal import Signal
from runners.bootstrap import build_monitor
from runners.settings import Settings
from runners.worker.endpoint import Watched


class BrokenLog:
    """Cannot be written, like a pipe whose reader has gone."""

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        raise BrokenPipeError(signal.value)


def test_a_log_that_cannot_be_written_does_not_end_the_monitor() -> None:
    """Nor the worker that it watches."""
    monitor, _ = build_monitor(Settings(metrics_host="127.0.0.1", metrics_port=0), BrokenLog())
    watched = Watched(
        gauges=cast("Any", SimpleNamespace(read=lambda: None)),
        queue=cast("Any", SimpleNamespace(depth=lambda: 0)),
        breaker_state=lambda: "closed",
        problems=tuple,
        is_draining=lambda: False,
    )
    with monitor, monitor.watching(watched):
        pass
