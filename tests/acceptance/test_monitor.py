"""`/metrics`, `/healthz` and `/readyz` of a running worker."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from acceptance.conftest import World
from support.promtool import needs_promtool

_DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture
def port() -> str:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def get(port: str, path: str) -> tuple[int, str]:
    """Status and body; 0 when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def samples(port: str) -> dict[str, float]:
    """The page of metrics as numbers, by name and labels as they are written."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(get(port, "/metrics")[1])
        for sample in family.samples
    }


def test_metrics_tell_what_has_happened(world: World, port: str) -> None:
    """Successes, a retry, a dead letter, how late and how long."""
    world.sandbox.set_faults(
        [
            {"match": {"post_id": "flaky", "nth": 1}, "action": "rate_limit", "retry_after": 0},
            {"match": {"post_id": "gone"}, "action": "status", "status": 404},
        ]
    )
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    world.add("fine", post_id="fine", pod_id="pod-2")
    world.add("said", post_id="said", engagement_type="comment", comment_text="Great post!", pod_id="pod-2")
    world.add("flaky", post_id="flaky")
    world.add("gone", post_id="gone", pod_id="pod-2")
    for activity_id, status in (("fine", "executed"), ("said", "executed"), ("flaky", "executed"), ("gone", "failed")):
        world.wait_for(activity_id, status)
    world.until(lambda: samples(port).get("engagement_executed_total provenance=response type=like") == 2)
    told = samples(port)
    assert told["engagement_executed_total provenance=response type=comment"] == 1
    assert told["engagement_attempts_total outcome=applied"] == 3
    assert told["engagement_attempts_total outcome=refused"] == 2
    assert told["engagement_retries_total attempt=2 outcome=applied"] == 1
    assert told["engagement_errors_total error_type=rate_limit"] == 1
    assert told["engagement_errors_total error_type=post_not_found"] == 1
    assert told["engagement_lateness_seconds_count"] == told["engagement_api_call_seconds_count"] == 5
    assert told["engagement_execution_seconds_count type=like"] == 4
    assert told["engagement_breaker_state"] == 0
    assert told["engagement_workers_alive"] == 1
    assert told["process_resident_memory_bytes"] > 0


def test_everything_that_the_dashboard_and_the_rules_ask_for_is_on_the_page_of_a_worker(
    world: World, port: str
) -> None:
    """Also before it has done anything."""
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    asked = {
        name
        for path in ("grafana/pod-engagement.json", "prometheus/alerts.yml")
        for name in re.findall(r"\b(?:engagement|process)_[a-z_]+\b", (_DEPLOY / path).read_text())
    }
    there = {line.partition("{")[0].partition(" ")[0] for line in get(port, "/metrics")[1].splitlines()}
    assert len(asked) > 15
    assert asked - there == set()


@needs_promtool
def test_promtool_has_nothing_to_say_about_the_metrics(world: World, port: str) -> None:
    """Names, units and help texts are as Prometheus wants them."""
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    page = get(port, "/metrics")[1]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_worker_is_alive_and_ready_until_it_has_drained(world: World, port: str) -> None:
    """While it finishes its last call, it says that it takes no more."""
    world.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 1500}])
    worker = world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    world.until(lambda: get(port, "/readyz")[0] == 200)
    assert json.loads(get(port, "/healthz")[1]) == {"alive": True, "problems": []}
    world.add("slow")
    world.until(lambda: world.sandbox.ledger()["requests"] == 1)
    worker.terminate()
    world.until(lambda: "draining" in get(port, "/readyz")[1])
    assert get(port, "/healthz")[0] == 200
    assert worker.wait(timeout=40) == 0
    assert get(port, "/healthz") == (0, "")


def test_second_worker_on_a_machine_works_without_its_metrics(world: World, port: str) -> None:
    """It says so, names the variable, and dies of nothing."""
    first = world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    second = world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    assert world.stop(first) == 0
    world.add("for-the-second")
    world.wait_for("for-the-second", "executed")
    assert world.stop(second) == 0
    (warning,) = [
        json.loads(line)
        for line in (world.folder / "worker-1.log").read_text().splitlines()
        if "metrics_unavailable" in line
    ]
    assert warning["message"].startswith("POD_ENGAGEMENT_METRICS_PORT: ")


def test_burst_and_port_zero_listen_nowhere(world: World, port: str) -> None:
    """A burst beside a worker is no reason for a warning."""
    with socket.create_server(("127.0.0.1", int(port))):
        burst = world.engagement("run", "--burst", POD_ENGAGEMENT_METRICS_PORT=port)
        assert (burst.returncode, "metrics" in burst.stderr) == (0, False)
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT="0")
    assert "metrics" not in (world.folder / "worker-0.log").read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"POD_ENGAGEMENT_METRICS_PORT": "65536"}, "POD_ENGAGEMENT_METRICS_PORT"),
        ({"POD_ENGAGEMENT_METRICS_PORT": "http"}, "POD_ENGAGEMENT_METRICS_PORT"),
        ({"POD_ENGAGEMENT_METRICS_HOST": "192.0.2.1"}, "POD_ENGAGEMENT_METRICS_HOST"),
        ({"POD_ENGAGEMENT_METRICS_HOST": "no such host"}, "POD_ENGAGEMENT_METRICS_HOST"),
    ],
)
def test_address_that_cannot_be_is_one_line(world: World, port: str, more: dict[str, str], says: str) -> None:
    """Exit code 2, before anything starts."""
    done = world.engagement("run", **{"POD_ENGAGEMENT_METRICS_PORT": port, **more})
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.alone
def test_a_scrape_takes_milliseconds_with_a_million_rows(world: World, port: str) -> None:
    """All of them due, and held back. Each scrape comes when the page before is stale, so that it is made anew; the
    fastest counts, because the machine may stall."""
    world.engagement("pause", "--all")
    world.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'a-' || n, 'pod-1', 'like', 'post-1', now() - n * interval '1 s' FROM generate_series(1, 1000000) n"
    )
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    world.until(lambda: samples(port)["engagement_due"] == 5001)
    assert min(_stale_scrape(world, port) for _ in range(3)) < 0.02


def _stale_scrape(world: World, port: str) -> float:
    """Seconds."""
    stale_at = time.monotonic() + 1.1
    world.until(lambda: time.monotonic() > stale_at)
    began_at = time.perf_counter()
    assert get(port, "/metrics")[0] == 200
    return time.perf_counter() - began_at


def test_hostile_scrapers_delay_nobody(world: World, port: str) -> None:
    """Forty that send half a request and wait, while fifty engagements are due at one instant."""
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port)
    with ExitStack() as scrapers:
        for _ in range(40):
            scraper = scrapers.enter_context(socket.create_connection(("127.0.0.1", int(port)), timeout=20))
            scraper.sendall(b"GET /metrics HT")
        for number in range(50):
            world.add(f"due-{number}", post_id=f"post-{number}", due_in=1.0)
        world.until(lambda: world.sql("SELECT 1 FROM pod_activities WHERE status <> 'executed'") == [])
    lateness = [
        json.loads(line)["lateness_ms"]
        for line in (world.folder / "worker-0.log").read_text().splitlines()
        if "call_started" in line
    ]
    # As late as without them: five threads share fifty calls.
    assert max(lateness) < 3000
