"""The bench's arithmetic, the shape of its report, and what the command prints."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement_core.model.activity import EngagementType
from runners.bench.bench import MEASUREMENTS
from runners.bench.delay_proxy import at_port, delay_proxy
from runners.bench.distribution import median, quantile
from runners.bench.failure import BenchFailed
from runners.bench.figure import Figure, at_least, at_most
from runners.bench.judge import doubled, insist_on_once, lateness_ms, lost, seconds_taken
from runners.bench.lateness import likes_at_random_instants
from runners.bench.plot import Panels, draw, panels_of
from runners.bench.report import Report
from runners.bench.workload import comments_in_turn, likes, post_of
from runners.cli import bench as command
from support.commands import Commands

_AT = datetime(2030, 3, 15, 14, 30, tzinfo=timezone.utc)
_GOOD = Figure(name="lateness_p50", label="lateness p50", value=2.5, unit="ms", target=at_most(4))
_BAD = Figure(name="drain_rate", label="drain, 5 threads", value=599.99994, unit="jobs/s", target=at_least(600))
_TOLD = Figure(name="lateness_max", label="lateness, the worst", value=9.0, unit="ms")
_REPORT = Report(
    started_at=_AT,
    is_quick=True,
    machine={"cores": 2},
    figures=(_GOOD, _TOLD),
    samples={"lateness_ms": (1.0, 2.5, 9.0)},
)


def _effect(number: int, *, late_s: float = 0.0, took_s: float = 0.0) -> dict[str, Any]:
    received_at = _AT.timestamp() + late_s
    post_id = post_of(likes([_AT] * (number + 1))[number].id)
    return {"post_id": post_id, "received_at": received_at, "at": received_at + took_s}


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.001, 1), (0.5, 500), (0.95, 950), (0.99, 990), (0.9901, 991), (1.0, 1000)]
)
def test_a_quantile_is_the_nearest_rank_that_was_really_seen(share: float, expected: int) -> None:
    """Of the numbers 1 to 1,000, in any order."""
    assert quantile([*range(501, 1001), *range(1, 501)], share) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0, 1))
def test_a_quantile_is_not_exceeded_by_its_share(observations: list[float], share: float) -> None:
    """For any observations."""
    found = quantile(observations, share)
    assert found in observations
    assert sum(each <= found for each in observations) >= round(share * len(observations), 6)


def test_there_is_no_quantile_of_nothing() -> None:
    """A median of no runs would be an invented number."""
    with pytest.raises(ValueError, match="at least one observation"):
        median([])


def test_a_target_is_met_at_its_bound_and_not_beyond_it() -> None:
    """In either direction; a figure without a target is neither met nor missed."""
    assert at_most(4).is_met_by(4)
    assert not at_most(4).is_met_by(4.001)
    assert at_least(600).is_met_by(600)
    assert not at_least(600).is_met_by(599.999)
    assert _TOLD.is_met is None


def test_lateness_is_from_the_scheduled_time_to_the_first_arrival() -> None:
    """Only the first request counts. What has not arrived has no lateness. Early is negative."""
    planned = likes([_AT, _AT, _AT])
    effects = [_effect(0, late_s=0.25), _effect(0, late_s=0.125), _effect(2, late_s=-0.5)]
    assert lateness_ms(planned, effects) == (125.0, -500.0)


def test_the_judge_counts_what_is_lost_and_what_is_doubled() -> None:
    """The post identifies the activity: each activity has its own."""
    planned = likes([_AT] * 4)
    effects = [_effect(0), _effect(1), _effect(1), _effect(1)]
    assert (lost(planned, effects), doubled(effects)) == (2, 2)


@pytest.mark.parametrize("numbers", [(0,), (0, 1, 1)])
def test_a_rate_at_which_something_is_lost_or_doubled_is_refused(numbers: tuple[int, ...]) -> None:
    """A drain of two activities that leaves one out, or sends one twice."""
    insist_on_once(likes([_AT, _AT]), [_effect(0), _effect(1)])
    with pytest.raises(BenchFailed, match="ledger"):
        insist_on_once(likes([_AT, _AT]), [_effect(number) for number in numbers])


def test_the_time_taken_is_from_the_first_arrival_to_the_last_effect() -> None:
    """In any order of the ledger."""
    assert seconds_taken([_effect(1, late_s=1.0, took_s=0.5), _effect(0)]) == 1.5
    with pytest.raises(BenchFailed):
        seconds_taken([_effect(0)])


def test_random_instants_are_the_same_in_every_run_and_within_the_spread() -> None:
    """So two systems can be compared. They are in order of time, each on its own post."""
    first, second = likes_at_random_instants(100, 20.0), likes_at_random_instants(100, 20.0)
    gaps = [[each.scheduled_for - run[0].scheduled_for for each in run] for run in (first, second)]
    assert gaps[0] == gaps[1] == sorted(gaps[0])
    assert timedelta(seconds=15) < gaps[0][-1] <= timedelta(seconds=20)
    assert len({each.post_id for each in first}) == 100


def test_comments_have_words_and_likes_have_none() -> None:
    """Half of each."""
    kinds = [(each.engagement_type, each.comment_text is None) for each in comments_in_turn([_AT] * 4)]
    assert kinds == [(EngagementType.LIKE, True), (EngagementType.COMMENT, False)] * 2


def test_the_report_has_its_documented_shape() -> None:
    """Programs rely on it: a change of meaning changes `version`."""
    report = replace(_REPORT, figures=(_GOOD, _BAD, _TOLD))
    assert report.as_json() == {
        "version": 1,
        "started_at": "2030-03-15T14:30:00+00:00",
        "quick": True,
        "machine": {"cores": 2},
        "met": False,
        "figures": [
            {
                "name": "lateness_p50",
                "label": "lateness p50",
                "value": 2.5,
                "unit": "ms",
                "target": {"at_most": 4},
                "met": True,
            },
            {
                "name": "drain_rate",
                "label": "drain, 5 threads",
                "value": 599.9999,
                "unit": "jobs/s",
                "target": {"at_least": 600},
                "met": False,
            },
            {
                "name": "lateness_max",
                "label": "lateness, the worst",
                "value": 9.0,
                "unit": "ms",
                "target": None,
                "met": None,
            },
        ],
        "samples": {"lateness_ms": [1.0, 2.5, 9.0]},
    }


def test_the_drawing_is_well_formed_and_shows_every_series_and_bar() -> None:
    """Also values beyond the axis, and labels that contain markup characters."""
    panels = Panels(lateness_ms={"<a> & b": (-5.0, 1.0, 99_999.0), "c": (0.0,)}, jobs_per_second={"d": 600.0, "e": 0.0})
    root = ElementTree.fromstring(draw(panels))  # noqa: S314 - our own text
    name = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in root.iter(f"{name}text")]
    assert len(list(root.iter(f"{name}polyline"))) == 2
    assert len(list(root.iter(f"{name}rect"))) == 1 + 2
    assert any(text.startswith("<a> & b: p50 1.0") and text.endswith("1 early") for text in texts)
    width = float(root.attrib["width"])
    for line in root.iter(f"{name}polyline"):
        assert all(0 <= float(point.split(",")[0]) <= width for point in line.attrib["points"].split())


def test_what_was_not_measured_is_not_drawn() -> None:
    """A report of a crash only has no curve and no bar."""
    assert panels_of(replace(_REPORT, samples={})) == Panels()
    assert panels_of(_REPORT).lateness_ms == {"engagement": (1.0, 2.5, 9.0)}


def test_a_distance_adds_its_time_each_way_and_loses_nothing(tmp_path: Path) -> None:
    """Twice the delay for a question and its answer; a long message arrives whole; an end arrives as an end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://user:secret@127.0.0.1:{server.getsockname()[1]}/name"
        with delay_proxy(url, 30.0, log=tmp_path / "log") as port:
            assert at_port(url, port) == f"postgresql://user:secret@127.0.0.1:{port}/name"
            with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
                far, _ = server.accept()
                with far:
                    far.settimeout(10)
                    for size in (1, 500_000):
                        asked_at = time.monotonic()
                        sent = bytes(number % 251 for number in range(size))
                        near.sendall(sent)
                        far.sendall(exactly(far, size))
                        assert exactly(near, size) == sent
                        assert time.monotonic() - asked_at >= 0.06
                    near.shutdown(socket.SHUT_WR)
                    assert far.recv(1) == b""


def exactly(connection: socket.socket, size: int) -> bytes:
    """The next bytes of a connection, as many as that."""
    received = b""
    while len(received) < size:
        piece = connection.recv(65536)
        assert piece, "the connection ended too early"
        received += piece
    return received


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], bool]]:
    """Keeps what the command asks to measure. It returns `_REPORT`, with a missed target if `--quick` is given."""
    wishes: list[tuple[list[str], bool]] = []

    def run_bench(names: list[str], *, is_quick: bool, far_ms: float, tell: Any) -> Report:
        assert far_ms == 10.0
        wishes.append((names, is_quick))
        tell("Measuring ...")
        return replace(_REPORT, figures=(_BAD, _GOOD)) if is_quick else _REPORT

    monkeypatch.setattr(command, "run_bench", run_bench)
    return wishes


def test_everything_is_measured_unless_somebody_asks_for_less(asked: list[tuple[list[str], bool]]) -> None:
    """They run in the bench's own order."""
    Commands()("bench")
    Commands()("bench", "--only", "crash", "--only", "drain")
    assert asked == [(list(MEASUREMENTS), False), (["drain", "crash"], False)]
    assert "no-such-thing" in Commands().refused("bench", "--only", "no-such-thing")


@pytest.mark.usefixtures("asked")
def test_a_missed_target_is_a_failure_only_for_who_checks() -> None:
    """The table always shows it; the exit code only with `--check`."""
    told = Commands()("bench", "--quick")
    assert told.exit_code == 0
    assert "NO" in told.stdout
    checked = Commands()("bench", "--quick", "--check", "--json")
    assert checked.exit_code == 1
    assert json.loads(checked.stdout)["met"] is False
    assert "a target is missed" in checked.stderr
    assert Commands()("bench", "--check").exit_code == 0


@pytest.mark.usefixtures("asked")
def test_the_plot_is_written_beside_the_json(tmp_path: Path) -> None:
    """Standard output has only the JSON."""
    told = Commands().json("bench", "--plot", str(tmp_path / "bench.svg"))
    assert told["figures"][0]["name"] == "lateness_p50"
    assert (tmp_path / "bench.svg").read_text().startswith("<svg")


def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(
    asked: list[tuple[list[str], bool]], tmp_path: Path
) -> None:
    """The folder does not exist, or no measurement can be drawn."""
    refused = Commands().refused("bench", "--plot", str(tmp_path / "missing" / "bench.svg"))
    assert "missing" in refused
    assert "lateness" in Commands().refused("bench", "--only", "crash", "--plot", str(tmp_path / "bench.svg"))
    assert asked == []
