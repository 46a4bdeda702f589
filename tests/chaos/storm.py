"""Everything at once: workers killed, stopped and continued, Redis flushed and restarted, PostgreSQL restarted, a
provider that misbehaves on a fifth of the calls; afterwards the ledger and the rows are compared.

The one rule: the storm is random but bounded, and its seed is printed. When it is over, a calm worker finishes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg2
import redis

from adapters.postgres.schema.migrate import migrate
from adapters.unipile.sandbox import Sandbox
from chaos.restartable import Restartable, restartable_servers
from second_provider import SecondProvider

__all__ = ["StormPlan", "StormResult", "weather"]

_POSTS = 40
_ACCOUNTS = 5


@dataclass(frozen=True, kw_only=True)
class StormPlan:
    """How much, how long, from which seed, and beside which provider: our sandbox, or the one that was written by
    somebody who has not seen it (`second`)."""

    seed: int
    activities: int = 2_000
    seconds: float = 40.0
    workers: int = 3
    patience: float = 90.0
    provider: str = "sandbox"
    other: Path | None = None
    """Another checkout, from which every second worker runs."""


@dataclass(frozen=True, kw_only=True)
class StormResult:
    """What the ledger and the rows say."""

    plan: StormPlan
    executed: int
    dead_letters: int
    waiting: tuple[str, ...]
    duplicates: tuple[str, ...]
    lost: tuple[str, ...]
    unexplained: tuple[str, ...]
    events: dict[str, int] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        """The promise."""
        return not (self.duplicates or self.lost or self.unexplained or self.waiting)


def weather(plan: StormPlan, log: Path) -> StormResult:
    """Let it storm, let it calm down, and judge. The workers' log goes to `log`."""
    dice = random.Random(plan.seed)  # noqa: S311 - repeatable on purpose
    with ExitStack() as stack:
        postgres, valkey = stack.enter_context(restartable_servers())
        provider = stack.enter_context(_PROVIDERS[plan.provider](plan.seed))
        migrate(postgres.url)
        _add_activities(postgres.url, plan, dice)
        workers = stack.enter_context(closing(_Workers(_environment(postgres, valkey, provider), log, plan.other)))
        events = _storm(plan, dice, workers, postgres, valkey)
        provider.calm()
        workers.kill_all()
        workers.start()
        _wait_until_settled(postgres.url, plan, workers)
        return _judge(plan, postgres.url, provider.applied(), events)


@dataclass(frozen=True, kw_only=True)
class _Provider:
    """What a storm needs of a provider. `applied` counts effects by post, and by words or account."""

    url: str
    key: str
    calm: Callable[[], None]
    applied: Callable[[], Counter[tuple[str, str]]]


@contextmanager
def _sandbox(seed: int) -> Iterator[_Provider]:
    with Sandbox(faults=_faults(seed)) as sandbox:

        def applied() -> Counter[tuple[str, str]]:
            return Counter((each["post_id"], each["text"] or each["account"]) for each in sandbox.ledger()["effects"])

        yield _Provider(url=sandbox.url, key="sandbox-key", calm=lambda: sandbox.set_faults([]), applied=applied)


@contextmanager
def _second(seed: int) -> Iterator[_Provider]:
    # A clean refusal ends an activity as it should; here each is to be executed in the end.
    refusals = ("refused_403", "refused_404", "refused_404_untyped", "refused_422")
    with SecondProvider(seed=seed, mischief=0.2, strict_ids=False, hang_seconds=3.0, without=refusals) as provider:

        def applied() -> Counter[tuple[str, str]]:
            return Counter((each.post_id, each.text or each.account_id) for each in provider.effects())

        yield _Provider(url=provider.url, key=provider.api_key or "", calm=provider.calm, applied=applied)


_PROVIDERS = {"sandbox": _sandbox, "second": _second}


def _faults(seed: int) -> list[dict[str, Any]]:
    def rule(probability: float, **action: Any) -> dict[str, Any]:
        return {"match": {"probability": probability, "seed": seed % 10_000}, **action}

    return [
        rule(0.04, action="apply_then_drop"),
        rule(0.04, action="drop_before"),
        rule(0.03, action="apply_then_status", status=502),
        rule(0.03, action="status", status=500),
        rule(0.02, action="apply_then_hang", seconds=5),
        rule(0.02, action="hang", seconds=5),
        rule(0.02, action="rate_limit", retry_after=1),
    ]


def _environment(postgres: Restartable, valkey: Restartable, provider: _Provider) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": postgres.url,
        "REDIS_URL": valkey.url,
        "UNIPILE_API_KEY": provider.key,
        "UNIPILE_BASE_URL": provider.url,
        "UNIPILE_API_VERSION": "v1",
        "POD_ENGAGEMENT_JOB_TIMEOUT": "1500",
        "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "2000",
        "POD_ENGAGEMENT_ORPHAN_AFTER_MS": "3000",
        "POD_ENGAGEMENT_SHUTDOWN_GRACE_MS": "1000",
    }


def _add_activities(database_url: str, plan: StormPlan, dice: random.Random) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        for number in range(_ACCOUNTS):
            cursor.execute("INSERT INTO pods VALUES (%s, NULL, %s)", (f"pod-{number}", f"account-{number}"))
            cursor.execute(
                "INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id) VALUES (%s, %s, %s)",
                (f"account-{number}", f"profile-{number}", f"unipile-{number}"),
            )
        rows = [
            (
                f"storm-{number}",
                f"pod-{number % _ACCOUNTS}",
                f"post-{number}" if number % 2 else f"post-{number % _POSTS}",
                "like" if number % 2 else "comment",
                None if number % 2 else f"Comment number {number}.",
                dice.uniform(0, plan.seconds * 0.8),
            )
            for number in range(plan.activities)
        ]
        cursor.executemany(
            "INSERT INTO pod_activities (id, pod_id, post_id, engagement_type, comment_text, scheduled_for)"
            " VALUES (%s, %s, %s, %s, %s, now() + %s * interval '1 second')",
            rows,
        )


class _Workers:
    """The worker processes."""

    def __init__(self, environment: dict[str, str], log: Path, other: Path | None) -> None:
        self._environments = cycle([environment, environment | {"PYTHONPATH": str(other)}] if other else [environment])
        self._log = log.open("ab")
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        command = [sys.executable, "-m", "runners", "run", "--concurrency", "4"]
        self._processes.append(
            subprocess.Popen(
                command, env=next(self._environments), stdout=self._log, stderr=self._log, cwd=self._log_folder
            )
        )

    @property
    def _log_folder(self) -> str:
        return str(Path(str(self._log.name)).parent)

    def living(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in self._processes if process.poll() is None]

    def signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    def kill_all(self) -> None:
        for process in self.living():
            process.kill()
            process.wait()

    def close(self) -> None:
        self.kill_all()
        self._log.close()


def _storm(
    plan: StormPlan, dice: random.Random, workers: _Workers, postgres: Restartable, valkey: Restartable
) -> Counter[str]:
    events: Counter[str] = Counter()
    until = time.monotonic() + plan.seconds
    stopped: list[subprocess.Popen[bytes]] = []
    for _ in range(plan.workers):
        workers.start()
    restarts = {plan.seconds * 0.35: "postgres", plan.seconds * 0.6: "redis"}
    while (left := until - time.monotonic()) > 0:
        time.sleep(dice.uniform(0.4, 1.4))  # weather has no signal to wait for
        for process in stopped:
            workers.signal(process, signal.SIGCONT)
        stopped.clear()
        due = [at for at in restarts if plan.seconds - left >= at]
        if due:
            what = restarts.pop(due[0])
            (postgres if what == "postgres" else valkey).restart(away_for=1.5)
        else:
            what = dice.choices(("kill", "stop", "drain", "flush"), (5, 3, 1, 2))[0]
            _strike(what, dice, workers, valkey, stopped)
        events[what] += 1
        while len(workers.living()) < plan.workers:
            workers.start()
    for process in stopped:
        workers.signal(process, signal.SIGCONT)
    return events


def _strike(
    what: str, dice: random.Random, workers: _Workers, valkey: Restartable, stopped: list[subprocess.Popen[bytes]]
) -> None:
    if what == "flush":
        with suppress(redis.RedisError), redis.from_url(valkey.url) as client:
            client.flushall()
        return
    victim = dice.choice(workers.living() or [None])
    if victim is None:
        return
    if what == "kill":
        victim.kill()
        victim.wait()
    elif what == "stop":
        workers.signal(victim, signal.SIGSTOP)
        stopped.append(victim)
    else:
        workers.signal(victim, signal.SIGTERM)


def _wait_until_settled(database_url: str, plan: StormPlan, workers: _Workers) -> None:
    until = time.monotonic() + plan.patience
    while time.monotonic() < until:
        if _count_scheduled(database_url) == 0:
            return
        if not workers.living():
            workers.start()
        time.sleep(0.25)


def _count_scheduled(database_url: str) -> int:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pod_activities WHERE status = 'scheduled'")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def _still_waiting(database_url: str) -> tuple[str, ...]:
    """Each activity that has not ended, with its attempts: what somebody needs to find out why."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.id || ' ' || a.post_id || ' retry ' || coalesce(a.next_retry_at::text, '-') || coalesce("
            "  (SELECT string_agg(' #' || number || ' ' || phase || ' ' || event || ' ' || effect || ' look '"
            "     || coalesce(look_at::text, '-') || coalesce(' ' || (error->>'message'), ''), ';' ORDER BY number)"
            "     FROM engagement_attempts t WHERE t.activity_id = a.id), ' no attempt')"
            "  FROM pod_activities a WHERE a.status = 'scheduled'"
        )
        return tuple(row[0] for row in cursor.fetchall())


def _judge(plan: StormPlan, database_url: str, applied: Counter[tuple[str, str]], events: Counter[str]) -> StormResult:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.id, a.post_id, coalesce(a.comment_generated, a.comment_text, 'unipile-' || right(a.pod_id, 1)),"
            "       a.status, d.error_type FROM pod_activities a"
            "  LEFT JOIN engagement_dead_letters d ON d.activity_id = a.id AND d.closed_at IS NULL"
        )
        rows = cursor.fetchall()
    effects = {row[0]: applied[row[1], row[2]] for row in rows}
    return StormResult(
        plan=plan,
        executed=sum(row[3] == "executed" for row in rows),
        dead_letters=sum(row[3] == "failed" for row in rows),
        waiting=_still_waiting(database_url),
        duplicates=tuple(key for key, count in effects.items() if count > 1),
        lost=tuple(row[0] for row in rows if row[3] == "executed" and effects[row[0]] == 0),
        unexplained=tuple(
            row[0]
            for row in rows
            if row[3] == "failed" and (row[4] is None or (effects[row[0]] > 0 and row[4] != "outcome_unknown"))
        ),
        events=dict(events),
    )
