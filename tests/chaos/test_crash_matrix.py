"""The promise under SIGKILL, at every step."""

from __future__ import annotations

import pytest

from chaos.crash_matrix import BEHAVIOURS, run_matrix
from chaos.doomed import STEPS


@pytest.mark.servers
@pytest.mark.timeout(400)
def test_a_worker_killed_at_any_step_neither_doubles_nor_loses_an_engagement(database_url: str, redis_url: str) -> None:
    """Both dialects, likes and comments, every step and behaviour of the provider: the ledger agrees with the rows."""
    verdicts = run_matrix(database_url, redis_url)
    assert len(verdicts) == 2 * 2 * len(BEHAVIOURS) * len(STEPS)
    broken = [verdict for verdict in verdicts if not verdict.is_kept]
    assert not broken, "\n".join(map(str, broken))
