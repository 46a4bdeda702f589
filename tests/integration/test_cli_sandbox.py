"""`engagement sandbox` as a process: it prints its address, and ends when it is asked to."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from support.commands import Commands, started


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that is taken."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_its_address_at_once_and_ends_in_good_order(number: signal.Signals) -> None:
    """Also if its output is a pipe. The ledger answers at its address."""
    with started("sandbox", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        ledger = process.stdout.readline().split()[-1]
        assert ledger == f"{url}/_ledger"
        assert requests.get(ledger, timeout=10).json()["effects"] == []
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_it_misbehaves_as_the_file_says(tmp_path: Path) -> None:
    """The first like is refused."""
    faults = tmp_path / "faults.json"
    faults.write_text('[{"match": {"engagement_type": "like", "nth": 1}, "action": "rate_limit", "retry_after": 7}]')
    with started("sandbox", "--port", "0", "--faults", str(faults)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        headers = {"Authorization": "Bearer any"}
        answers = [requests.post(f"{url}/v0/posts/p/like", headers=headers, timeout=10) for _ in range(2)]
    assert (answers[0].status_code, answers[1].ok) == (429, True)


def test_a_port_that_is_taken_is_one_line(taken_port: int) -> None:
    """The message has the port."""
    told = Commands().refused("sandbox", "--port", str(taken_port), code=1)
    assert told.startswith(f"cannot listen on 127.0.0.1, port {taken_port}: ")


def test_a_host_that_is_not_ours_is_one_line() -> None:
    """An address of the documentation range."""
    assert "cannot listen on 192.0.2.1" in Commands().refused("sandbox", "--host", "192.0.2.1", "--port", "0", code=1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[{"action": "explode"}]', "rule 0: action: must be one of"),
        ('[{"action": "status", "status": "x"}]', "rule 0: status: "),
        ('[{"action": "hang"}, {"action": "latency"}]', "rule 1: ms: "),
        ("{", "Expecting property name"),
    ],
)
def test_a_bad_fault_file_is_refused_with_its_rule_and_field(tmp_path: Path, content: str, told: str) -> None:
    """It is refused before the sandbox listens."""
    faults = tmp_path / "faults.json"
    faults.write_text(content)
    message = Commands().refused("sandbox", "--faults", str(faults))
    assert message.startswith(f"--faults {faults}: ")
    assert message.count(str(faults)) == 1
    assert told in message
