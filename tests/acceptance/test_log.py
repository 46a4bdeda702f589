"""What a worker process prints: all that is needed, nothing that is secret, and not too much of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from acceptance.conftest import World
from adapters.telemetry.events import EVENTS
from engagement_core.model.signal import Signal

_KEY, _VOICE_KEY, _TOKEN = "api-key-8f3a1c", "voice-key-77d0e2", "token-5b9e44"
_HOOK, _PASSWORD = "T0AAAA/B0BBBB/hook-c41d90", "pass-e6a2f7"
_WORDS = "Remarkable wording that nobody else would use"
_SECRETS = (_KEY, _VOICE_KEY, _TOKEN, _HOOK, "hook-c41d90", _PASSWORD)
_ALWAYS = {"event", "level", "timestamp", "worker"}


def _with_password(url: str) -> str:
    """A server that asks for no password takes any."""
    parts = urlsplit(url)
    user, place = parts.username or "postgres", parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{user}:{parts.password or _PASSWORD}@{place}").geturl()


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_that_is_secret_is_printed_at_debug(world: World, form: str) -> None:
    """With a secret in every setting and row, while the provider repeats them and everything else is down."""
    world.sql("UPDATE linkedin_accounts SET access_token = %s", _TOKEN)
    said = f"{_KEY} {_TOKEN} is not allowed to say {_WORDS}"
    world.sandbox.set_faults(
        [
            {"match": {"post_id": "refused"}, "action": "status", "status": 400, "body": json.dumps({"title": said})},
            {"match": {"post_id": "gone"}, "action": "status", "status": 404, "body": said},
            {"match": {"post_id": "lost"}, "action": "status", "status": 500, "body": said},
        ]
    )
    for post in ("fine", "refused", "gone", "lost"):
        world.add(post, post_id=post, engagement_type="comment", comment_text=_WORDS)
    worker = world.start_worker(
        DATABASE_URL=_with_password(world.database_url),
        REDIS_URL=f"redis://user:{_PASSWORD}@127.0.0.1:1/0",
        UNIPILE_API_KEY=_KEY,
        # It answers 404, and urllib3 tells at debug what it was asked for.
        POD_ENGAGEMENT_ALERT_WEBHOOK_URL=f"{world.sandbox.url}/services/{_HOOK}",
        VOICE_PROVIDER="openai",
        VOICE_BASE_URL="http://127.0.0.1:1/v1",
        VOICE_API_KEY=_VOICE_KEY,
        VOICE_MODEL="some-model",
        LOG_LEVEL="debug",
        LOG_FORMAT=form,
    )
    log = world.folder / "worker-0.log"
    # The one that is lost is refused for good too: v0 cannot be asked what became of it.
    world.wait_for("fine", "executed")
    world.wait_for("refused", "failed")
    world.wait_for("gone", "failed")
    world.until(lambda: "alert_undelivered" in log.read_text())
    assert world.stop(worker) == 0
    printed = log.read_text()
    assert [secret for secret in _SECRETS if secret in printed] == []
    assert "library_logged" in printed, "the libraries were not heard of"
    assert _WORDS not in printed
    if form == "json":
        _check_fields(_lines(log))


def _check_fields(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        documented = _ALWAYS | set(EVENTS[Signal(line["event"])].fields)
        assert set(line) <= documented, f"undocumented: {set(line) - documented} of {line['event']}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", f"postgresql://user:{_PASSWORD}@127.0.0.1:1/none"),
        ("DATABASE_URL", f"postgresql://user:{_PASSWORD}/more@127.0.0.1:1/none"),
        ("DATABASE_URL", f"postgresql://user:a@{_PASSWORD}@127.0.0.1:1/none"),
        ("DATABASE_URL", f"host=127.0.0.1 port=1 password={_PASSWORD}"),
        ("DATABASE_URL", f"mysql://user:{_PASSWORD}@127.0.0.1/none"),
        ("REDIS_URL", f"redis://user:{_PASSWORD}/more@127.0.0.1:1/0"),
        ("POD_ENGAGEMENT_ALERT_WEBHOOK_URL", f"http://hooks.test/{_HOOK}"),
        ("UNIPILE_API_KEY", f"{_KEY}\nwith a line"),
        ("VOICE_BASE_URL", f"http://user:{_PASSWORD}@voice.test/v1"),
    ],
)
def test_wrong_setting_is_refused_without_its_secret(world: World, variable: str, value: str) -> None:
    """One line each, at debug too."""
    more = {"VOICE_PROVIDER": "openai", "VOICE_API_KEY": _VOICE_KEY, "VOICE_MODEL": "m"}
    done = world.engagement("run", **{"LOG_LEVEL": "debug", **more, variable: value})
    assert done.returncode in {1, 2}
    printed = done.stdout + done.stderr
    assert [secret for secret in _SECRETS if secret in printed] == []
    assert "Traceback" not in printed


def test_successful_engagement_is_six_lines_at_info_at_most(world: World) -> None:
    """Whoever rang for it; each names the activity, and from the claim on the attempt, the pod and the worker too."""
    worker = world.start_worker()
    world.engagement("schedule", "--pod", "pod-1", "--type", "like", "--post", "post-1", "--id", "like")
    world.add("comment", post_id="post-2", engagement_type="comment", comment_text="Great post!")
    for activity_id in ("like", "comment"):
        world.wait_for(activity_id, "executed")
    assert world.stop(worker) == 0
    lines = [line for line in _lines(world.folder / "worker-0.log") if "activity_id" in line]
    assert max(Counter(line["activity_id"] for line in lines).values()) <= 6
    comment = [line for line in lines if line["activity_id"] == "comment"]
    assert [line["event"] for line in comment] == [
        "activity_validated",
        "call_started",
        "call_ended",
        "database_updated",
        "job_completed",
    ]
    for line in lines:
        assert line["worker"]
        if line["event"] != "job_received":
            assert (line["attempt"], line["pod_id"]) == (1, "pod-1")
    assert comment[-1]["duration_ms"] >= comment[2]["duration_ms"] > 0
    assert comment[2]["outcome"] == "applied"
    assert comment[2]["engagement_id"]


def test_failure_is_logged_with_its_context(world: World) -> None:
    """Each refusal with its class, its attempt and the provider's status; the end with the reason."""
    world.sandbox.set_faults([{"action": "rate_limit", "retry_after": 0}])
    worker = world.start_worker()
    world.add("limited")
    world.wait_for("limited", "failed")
    assert world.stop(worker) == 0
    lines = _lines(world.folder / "worker-0.log")
    errors = [line for line in lines if line["event"] == "error_classified"]
    assert [(line["attempt"], line["error_type"], line["effect"]) for line in errors] == [
        (1, "rate_limit", "none"),
        (2, "rate_limit", "none"),
        (3, "rate_limit", "none"),
    ]
    calls = [line for line in lines if line["event"] == "call_ended"]
    assert {(line["outcome"], line["provider_status"]) for line in calls} == {("refused", 429)}
    (letter,) = [line for line in lines if line["event"] == "dead_letter"]
    assert (letter["attempt"], letter["error_type"], letter["activity_id"]) == (3, "rate_limit", "limited")
