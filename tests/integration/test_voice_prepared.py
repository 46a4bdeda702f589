"""Comments prepared ahead of time by a whole worker: real PostgreSQL, real Redis, a simulated provider, a voice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.outcome import Deferred, Executed, Outcome
from engagement_core.model.signal import Signal
from fakes.telemetry import InMemoryTelemetry
from runners.bootstrap import App, open_app
from runners.process import working
from runners.settings import Settings, SettingsProblem
from runners.worker.worker import Worker
from support.commands import execute
from support.voice_service import VOICE_KEY, VoiceService

_PATIENCE = 20.0
SPOKEN = "This is a fantastic post!"


@dataclass
class Scene:
    """Servers, a provider, a voice, and SQL."""

    settings: Settings
    service: VoiceService
    sandbox: Sandbox
    telemetry: InMemoryTelemetry = field(default_factory=InMemoryTelemetry)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return execute(str(self.settings.database_url), statement, *parameters)

    def add(self, activity_id: str = "a-1", *, due_in: float = 0.0, comment: str | None = "Great post!") -> None:
        self.sql(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
            " VALUES (%s, 'pod', %s, %s, %s, clock_timestamp() + %s * interval '1 second')",
            activity_id,
            "like" if comment is None else "comment",
            f"post-of-{activity_id}",
            comment,
            due_in,
        )

    def make_due(self) -> None:
        """Its time has come; nothing that a voice is told has changed."""
        self.sql("UPDATE pod_activities SET scheduled_for = clock_timestamp()")

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        with working(self.settings, self.telemetry) as (_, worker):
            worker.start()
            yield worker

    @contextmanager
    def app(self, worker_id: str) -> Iterator[App]:
        with open_app(self.settings, worker_id=worker_id, telemetry=self.telemetry) as app:
            app.maintenance.beat()
            yield app

    def wait_for(self, signal: Signal, count: int = 1, **fields: object) -> None:
        def seen(told: list[Any]) -> bool:
            found = [each for each in told if each.signal is signal and fields.items() <= each.fields.items()]
            return len(found) >= count

        assert self.telemetry.wait_for(seen, _PATIENCE), f"{signal} {fields} did not come: {self.telemetry.told[-10:]}"

    def sent(self) -> list[str]:
        """The comments that the provider has, in order."""
        return [each["text"] for each in self.sandbox.ledger()["effects"]]


@pytest.fixture
def scene(database_url: str, redis_url: str) -> Iterator[Scene]:
    """One pod with one account and one voice cartridge."""
    with Sandbox() as sandbox, VoiceService() as service:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            unipile_api_key="key",
            unipile_base_url=sandbox.url,
            unipile_api_version="v1",
            voice_provider="openai",
            voice_base_url=service.url + "/v1",
            voice_api_key=VOICE_KEY,
            voice_model="model-1",
        )
        here = Scene(settings=settings, service=service, sandbox=sandbox)
        here.sql("INSERT INTO pods VALUES ('pod', 'voice', 'account')")
        here.sql("INSERT INTO voice_cartridges VALUES ('voice', 'concise', 'warm', '{\"openers\": [\"Hi!\"]}')")
        here.sql("INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('account', 'unipile')")
        yield here


def test_a_comment_that_was_prepared_is_sent_without_asking_the_voice(scene: Scene) -> None:
    """It was asked before the comment was due; when it is due, the voice could be gone."""
    scene.add(due_in=50)
    scene.service.says(SPOKEN)
    with scene.worker():
        scene.wait_for(Signal.COMMENT_PREPARED, ahead=True)
        assert scene.sql("SELECT count(*) FROM engagement_attempts") == [(0,)]
        scene.service.answers(500, times=10)
        scene.make_due()
        scene.wait_for(Signal.JOB_COMPLETED)
    assert scene.sent() == [SPOKEN]
    assert scene.sql("SELECT comment_generated FROM pod_activities") == [(SPOKEN,)]
    assert len(scene.service.questions) == 1
    assert VOICE_KEY not in str(scene.telemetry.told)


def test_a_comment_that_was_edited_meanwhile_is_said_anew(scene: Scene) -> None:
    """With the author's last word."""
    scene.add(due_in=50)
    scene.service.says(SPOKEN, "This is a grand post!")
    with scene.worker():
        scene.wait_for(Signal.COMMENT_PREPARED, ahead=True)
        scene.sql("UPDATE pod_activities SET comment_text = 'Grand post!'")
        scene.make_due()
        scene.wait_for(Signal.JOB_COMPLETED)
    assert scene.sent() == ["This is a grand post!"]
    assert scene.service.comments == ["Great post!", "Grand post!"]


def test_a_slow_answer_delays_neither_other_comments_nor_likes(scene: Scene) -> None:
    """One thread waits for it, another one goes on, and what is due is executed."""
    may_speak = scene.service.holds(SPOKEN)
    scene.add("slow", due_in=30)
    with scene.worker():
        assert scene.service.wait_for(questions=1)
        scene.add("next", due_in=31)
        scene.add("like", comment=None)
        scene.wait_for(Signal.COMMENT_PREPARED, ahead=True, activity_id="next")
        scene.wait_for(Signal.JOB_COMPLETED, activity_id="like")
        may_speak.set()
        scene.wait_for(Signal.COMMENT_PREPARED, ahead=True, activity_id="slow")


def test_a_drain_lets_the_voice_finish_and_asks_nothing_more(scene: Scene) -> None:
    """What is under way is two comments; the third is another worker's."""
    held = [scene.service.holds(SPOKEN) for _ in range(2)]
    for number in range(3):
        scene.add(f"a-{number}", due_in=40 + number)
    with scene.worker() as worker:
        assert scene.service.wait_for(questions=2)
        draining = threading.Thread(target=worker.drain, args=(timedelta(seconds=5),))
        draining.start()
        scene.wait_for(Signal.WORKER_DRAINING)
        for may_speak in held:
            may_speak.set()
        draining.join(_PATIENCE)
        assert not draining.is_alive()
    assert len(scene.service.questions) == 2


def test_a_voice_without_a_network_is_not_asked_ahead_of_time(scene: Scene) -> None:
    """There is nothing to gain."""
    scene.settings = replace(scene.settings, voice_provider="template")
    scene.add(due_in=2)
    with scene.worker():
        scene.wait_for(Signal.JOB_COMPLETED)
    assert all("ahead" not in told for told in scene.telemetry.fields_of(Signal.COMMENT_PREPARED))
    assert scene.service.questions == []


def _paused_while_the_voice_speaks(scene: Scene) -> None:
    """Worker 1 has claimed and paid; a pause comes in between, and is lifted again."""
    may_speak = scene.service.holds(SPOKEN)
    outcomes: list[Outcome] = []
    with scene.app("worker-1") as app:
        executing = threading.Thread(target=lambda: outcomes.append(app.executor.execute("a-1")))
        executing.start()
        assert scene.service.wait_for(questions=1)
        scene.sql("INSERT INTO engagement_controls (kind, scope, reason) VALUES ('pause', 'all', 'stop')")
        may_speak.set()
        executing.join(_PATIENCE)
    assert isinstance(outcomes[0], Deferred)
    scene.sql("UPDATE engagement_controls SET lifted_at = now()")


def test_a_text_that_could_not_be_sent_is_kept_for_another_worker(scene: Scene) -> None:
    """In PostgreSQL, with what it was made from."""
    scene.add()
    _paused_while_the_voice_speaks(scene)
    assert scene.sql("SELECT text, text_source, began_at FROM engagement_attempts") == [(SPOKEN, "Great post!", None)]
    with scene.app("worker-2") as app:
        assert isinstance(app.executor.execute("a-1"), Executed)
    assert (scene.sent(), len(scene.service.questions)) == ([SPOKEN], 1)


def test_a_text_that_was_kept_is_not_sent_for_another_original(scene: Scene) -> None:
    """The author has edited the comment since."""
    scene.add()
    _paused_while_the_voice_speaks(scene)
    scene.sql("UPDATE pod_activities SET comment_text = 'Grand post!'")
    scene.service.says("This is a grand post!")
    with scene.app("worker-2") as app:
        assert isinstance(app.executor.execute("a-1"), Executed)
    assert scene.sent() == ["This is a grand post!"]


def test_an_e02_service_is_wired_in_the_same_way(scene: Scene) -> None:
    """`VOICE_PROVIDER=http`, with its own protocol and without a key."""
    scene.settings = replace(
        scene.settings, voice_provider="http", voice_base_url=scene.service.url + "/e02", voice_api_key=None
    )
    scene.add(due_in=2)
    scene.service.says(SPOKEN)
    with scene.worker():
        scene.wait_for(Signal.JOB_COMPLETED)
    assert scene.sent() == [SPOKEN]
    (question,) = scene.service.questions
    assert question.path == "/e02"
    assert (question.body["podId"], question.body["cartridge"]["templates"]) == ("pod", {"openers": ["Hi!"]})


def test_the_voice_never_takes_more_than_half_of_an_attempt(scene: Scene) -> None:
    """Even where `VOICE_TIMEOUT_MS` says otherwise: the other half belongs to the call."""
    scene.settings = replace(
        scene.settings, job_timeout=timedelta(seconds=2), voice_timeout=timedelta(seconds=60), concurrency=1
    )
    scene.add()
    scene.service.hangs()
    with scene.app("worker-1") as app:
        assert isinstance(app.executor.execute("a-1"), Executed)
    assert scene.sent() == ["Great post!"]


@pytest.mark.parametrize(
    ("provider", "unset", "problem"),
    [
        ("openai", "voice_api_key", "VOICE_API_KEY is not set"),
        ("openai", "voice_model", "VOICE_MODEL is not set"),
        ("http", "voice_base_url", "VOICE_BASE_URL is not set"),
    ],
)
def test_a_voice_that_lacks_a_setting_is_named_before_anything_starts(provider: str, unset: str, problem: str) -> None:
    """Before the database is even looked for."""
    complete = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1",
        unipile_api_key="key",
        voice_provider=provider,
        voice_base_url="https://voice.example.com",
        voice_api_key=VOICE_KEY,
        voice_model="model-1",
    )
    lacking = replace(complete, **{unset: None})
    with pytest.raises(SettingsProblem, match=problem), open_app(lacking, worker_id="w", telemetry=InMemoryTelemetry()):
        pass
