"""An existing E-02 service: what we send, which answers we accept, and how soon we stop asking a broken service."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from adapters.http.session import HttpSession
from adapters.voices.http import HttpVoice
from engagement_core.ports.voice import VoiceFailed
from support.builders import CARTRIDGE, POD, a_comment
from support.provider import HandClock, RealClock, free_port, within
from support.voice_service import VOICE_KEY, VoiceService, http_voice

COMMENT = a_comment()


@pytest.fixture
def service() -> Iterator[VoiceService]:
    """An E-02 service that answers as the test tells it."""
    with VoiceService() as service:
        yield service


@pytest.fixture
def session() -> Iterator[HttpSession]:
    """The voice's own."""
    with HttpSession() as session:
        yield session


def speak(voice: HttpVoice, seconds: float = 5) -> str:
    """The service's version of the comment."""
    return voice.speak(COMMENT, POD, CARTRIDGE, within(seconds))


def test_it_is_sent_what_it_needs_and_nothing_else(service: VoiceService, session: HttpSession) -> None:
    """We send it to the address exactly as configured: no account, no post, no profile."""
    service.says("This is a fantastic post!")
    assert speak(http_voice(service.url + "/e02?code=7&next=", session, RealClock())) == "This is a fantastic post!"
    (question,) = service.questions
    assert question.path == "/e02?code=7&next=/voice"
    assert question.headers["Content-Type"] == "application/json"
    assert question.body == {
        "podId": "pod-1",
        "text": "Great post!",
        "cartridge": {"id": "voice-1", "personality_style": "concise", "tone": "friendly", "templates": None},
    }


@pytest.mark.parametrize(("key", "header"), [(VOICE_KEY, f"Bearer {VOICE_KEY}"), (None, None)])
def test_the_key_is_sent_only_if_there_is_one(
    service: VoiceService, session: HttpSession, key: str | None, header: str | None
) -> None:
    """A service inside the own network may need no key."""
    speak(http_voice(service.url, session, RealClock(), key=key))
    assert service.questions[0].headers.get("Authorization") == header


@pytest.mark.parametrize("body", [b"", b"{}", b'{"text": null}', b'{"text": 7}', b'"Great!"'])
def test_an_answer_without_a_plain_text_is_a_failed_voice(
    service: VoiceService, session: HttpSession, body: bytes
) -> None:
    """Whatever else the answer is."""
    service.answers(200, body)
    with pytest.raises(VoiceFailed, match="the voice"):
        speak(http_voice(service.url, session, RealClock()))


def test_a_service_that_is_down_is_said_to_be(session: HttpSession) -> None:
    """The message does not hold the path, which may be a secret."""
    with pytest.raises(VoiceFailed, match="did not answer: Could not connect") as failed:
        speak(http_voice(f"http://127.0.0.1:{free_port()}/geheim", session, RealClock()))
    assert "geheim" not in str(failed.value)


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_service_that_is_slow_is_left_at_the_deadline(service: VoiceService, session: HttpSession, how: str) -> None:
    """A service that is silent, or sends one byte at a time."""
    getattr(service, how)()
    started = time.monotonic()
    with pytest.raises(VoiceFailed, match=r"did not answer|not complete in time"):
        speak(http_voice(service.url, session, RealClock()), 0.3)
    assert 0.25 < time.monotonic() - started < 5


def test_no_time_left_asks_nobody(service: VoiceService, session: HttpSession) -> None:
    """This proves nothing about the service, so it is asked the next time."""
    voice = http_voice(service.url, session, RealClock())
    for _ in range(4):
        with pytest.raises(VoiceFailed, match="no time left"):
            speak(voice, 0)
    assert service.questions == []
    assert speak(voice) == "Great post!"


@pytest.mark.parametrize(("failure", "seconds"), [("hangs", 0.3), ("drips", 0.3), ("500", 5), ("429", 5)])
def test_a_service_that_fails_three_times_is_given_a_rest(
    service: VoiceService, session: HttpSession, failure: str, seconds: float
) -> None:
    """After a costly or overload answer, the next comments do not try the service. After half a minute one may try
    again."""
    clock = HandClock()
    voice = http_voice(service.url, session, clock)
    if failure.isdigit():
        service.answers(int(failure), times=3)
    else:
        getattr(service, failure)(times=3)
    for _ in range(3):
        with pytest.raises(VoiceFailed):
            speak(voice, seconds)
    assert service.wait_for(questions=3)
    with pytest.raises(VoiceFailed, match="not called for a while"):
        speak(voice)
    clock.advance(30)
    assert speak(voice) == "Great post!"
    assert speak(voice) == "Great post!"
    assert len(service.questions) == 5


def test_a_service_that_refuses_is_no_broken_one(service: VoiceService, session: HttpSession) -> None:
    """The service's refusals come at once, so no comment waits for them."""
    service.answers(401, times=4)
    voice = http_voice(service.url, session, HandClock())
    for _ in range(4):
        with pytest.raises(VoiceFailed, match="401"):
            speak(voice)
    assert speak(voice) == "Great post!"
