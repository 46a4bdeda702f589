"""Events as lines: constant names, bound fields, one loudness each; and everything else that a process prints."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from adapters.telemetry.events import EVENTS, level_of
from adapters.telemetry.log import LogTelemetry, configure_logging
from adapters.telemetry.process import whole_process
from engagement_core.model.signal import Signal

SECRET = "s3cret-value"


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def configured(level: str = "info", form: str = "json") -> Callable[[], list[Any]]:
    """Logging into memory; what has been written so far."""
    out = io.StringIO()
    configure_logging(level=level, form=form, stream=out, secrets=(SECRET,))

    def lines() -> list[Any]:
        return [json.loads(line) if form == "json" else line for line in out.getvalue().splitlines()]

    return lines


def test_every_signal_has_a_meaning_and_no_other_has() -> None:
    """What is not in the table could not be logged."""
    assert set(EVENTS) == set(Signal)
    assert all(event.meaning.endswith(".") for event in EVENTS.values())


def test_event_is_one_line_with_its_name_its_fields_and_what_is_bound() -> None:
    """A field that is not known is left out."""
    lines = configured()
    LogTelemetry(worker="w-1").emit(
        Signal.CALL_ENDED, activity_id="a-1", attempt=2, duration_ms=1.5, provider_type=None
    )
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call_ended",
        "level": "info",
        "worker": "w-1",
        "activity_id": "a-1",
        "attempt": 2,
        "duration_ms": 1.5,
    }


def test_console_form_shows_the_same() -> None:
    """For people; without colours where it is no terminal."""
    lines = configured(form="console")
    LogTelemetry(worker="w-1").emit(Signal.DEAD_LETTER, activity_id="a-1", message=f"said {SECRET}")
    (line,) = lines()
    assert "dead_letter" in line
    assert "activity_id=a-1" in line
    assert SECRET not in line


@pytest.mark.parametrize(("level", "heard"), [("debug", 3), ("info", 2), ("error", 1)])
def test_level_decides_what_is_heard(level: str, heard: int) -> None:
    """One signal of each of three levels."""
    lines = configured(level)
    for signal in (Signal.ACTIVITY_DROPPED, Signal.JOB_COMPLETED, Signal.STORE_UNAVAILABLE):
        LogTelemetry().emit(signal)
    assert len(lines()) == heard


def test_voice_that_failed_is_heard_of() -> None:
    """Although the comment is sent, with its original words."""
    assert level_of(Signal.COMMENT_PREPARED, {"fell_back": True}) == logging.WARNING
    assert level_of(Signal.COMMENT_PREPARED, {"fell_back": False}) == logging.DEBUG


def test_line_of_a_library_goes_our_way() -> None:
    """From warnings on, with its exception, redacted, and with what is bound."""
    lines = configured()
    with whole_process("info", worker="w-1"):
        logging.getLogger("urllib3.connectionpool").debug("not heard")
        try:
            int(SECRET)
        except ValueError:
            logging.getLogger("rq.worker").exception("failed with %s", SECRET)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(f"careful: {SECRET}", stacklevel=1)
    first, second = lines()
    assert (first["event"], first["logger"], first["worker"]) == ("library_logged", "rq.worker", "w-1")
    assert first["message"] == "failed with ***"
    assert "ValueError: invalid literal for int() with base 10: '***'" in first["exception"]
    assert second["logger"] == "py.warnings"
    assert SECRET not in str(second)


def test_library_is_heard_at_debug_when_we_are() -> None:
    """And at no other time."""
    lines = configured("debug")
    with whole_process("debug"):
        logging.getLogger("urllib3.connectionpool").debug("POST %s", SECRET)
    assert [(line["level"], line["message"]) for line in lines()] == [("debug", "POST ***")]


def test_exception_that_nobody_caught_is_an_event() -> None:
    """Of a thread or of the process, with its traceback, redacted."""
    lines = configured()

    def fail() -> None:
        raise ValueError(f"a defect with {SECRET}")

    with whole_process("info"):
        thread = threading.Thread(target=fail, name="some-thread")
        thread.start()
        thread.join()
        try:
            fail()
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
    in_thread, in_process = lines()
    assert (in_thread["event"], in_thread["thread"]) == ("exception_uncaught", "some-thread")
    assert "ValueError: a defect with ***" in in_thread["exception"]
    assert in_process["thread"] == threading.current_thread().name


def test_exception_that_ends_the_block_ends_the_process_in_our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python asks for the hook when every block has been left."""
    lines = configured()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(ValueError, match="invalid literal") as raised, whole_process("info"):
        int(SECRET)
    sys.excepthook(ValueError, raised.value, raised.tb)
    (line,) = lines()
    assert line["event"] == "exception_uncaught"
    assert "base 10: '***'" in line["exception"]


def test_what_the_process_printed_before_is_put_back() -> None:
    """Hooks, handlers and level."""
    configured()
    before = (sys.excepthook, threading.excepthook, logging.getLogger().level, list(logging.getLogger().handlers))
    with whole_process("debug"):
        pass
    assert before == (
        sys.excepthook,
        threading.excepthook,
        logging.getLogger().level,
        list(logging.getLogger().handlers),
    )


def test_line_that_cannot_be_written_is_lost_without_a_word() -> None:
    """`logging` would print the line that failed, arguments and all."""
    configure_logging(level="info", form="json", stream=_Closed())
    with whole_process("info"):
        logging.getLogger("some").warning("%s", SECRET)


class _Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise ValueError("closed")
