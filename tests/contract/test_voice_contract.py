"""What every voice promises: the built-in ones, those that speak HTTP and the fake alike."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.http.session import HttpSession
from adapters.voices.none import NoVoice
from adapters.voices.template import TemplateVoice
from engagement_core.decisions.comment_rules import check_spoken
from engagement_core.model.activity import Activity, EngagementType, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import Voice, VoiceFailed
from fakes.voice import InMemoryVoice
from support.provider import RealClock
from support.voice_service import VoiceService, http_voice, openai_voice

BUILT_IN: dict[str, Callable[[], Voice]] = {"template": TemplateVoice, "none": NoVoice, "in memory": InMemoryVoice}
REMOTE = {"openai": openai_voice, "http": http_voice}
POD = Pod(id="pod-1", voice_cartridge_id="cartridge-1", linkedin_account_id=None)
CARTRIDGE = VoiceCartridge(
    id="cartridge-1", personality_style="expressive", tone="enthusiastic", templates={"closers": ["Thanks!"]}
)
COMMENT = Activity(
    id="activity-1",
    pod_id="pod-1",
    engagement_type=EngagementType.COMMENT,
    post_id="post-1",
    profile_id=None,
    comment_text="Great post!",
    scheduled_for=datetime(2024, 3, 15, 15, tzinfo=timezone.utc),
    status="scheduled",
)


class StoppedClock:
    """A clock by which no time passes."""

    def elapsed(self) -> float:
        return 0.0


IN_TIME = Deadline.after(StoppedClock(), timedelta(seconds=30))


@pytest.fixture(params=[*BUILT_IN, *REMOTE])
def voice(request: pytest.FixtureRequest) -> Iterator[Voice]:
    """One voice of each kind, new for each test."""
    if request.param in BUILT_IN:
        yield BUILT_IN[request.param]()
        return
    with VoiceService() as service, HttpSession() as session:
        yield REMOTE[request.param](service.url, session, RealClock())


@pytest.mark.parametrize("text", ["Great post!", "See https://example.com, @ada! #growth", "Use {opener} 👏\n\nTwice"])
def test_what_it_says_of_an_ordinary_comment_may_be_used(voice: Voice, text: str) -> None:
    """A healthy cartridge never costs the pod its voice."""
    spoken = voice.speak(replace(COMMENT, comment_text=text), POD, CARTRIDGE, IN_TIME)
    assert check_spoken(text, spoken) == ()


def test_it_says_the_same_again(voice: Voice) -> None:
    """A comment may be prepared ahead of time and once more later; both must agree."""
    assert len({voice.speak(COMMENT, POD, CARTRIDGE, IN_TIME) for _ in range(3)}) == 1


def test_it_fails_in_the_ports_words_when_there_is_no_comment(voice: Voice) -> None:
    """A like that reaches a voice is a failed voice, not a crash."""
    with pytest.raises(VoiceFailed, match="no comment"):
        voice.speak(replace(COMMENT, comment_text=None), POD, CARTRIDGE, IN_TIME)


@pytest.mark.parametrize("templates", [None, {}, {"openers": 7}, {"unknown": {}}, {"comments": [None]}, ["list"]])
@pytest.mark.parametrize("tone", [None, "", "enthusiastic", "unheard of"])
def test_no_cartridge_makes_it_raise_anything_else(voice: Voice, templates: Any, tone: str | None) -> None:
    """Whatever the table holds, there is a text or a `VoiceFailed` with a reason."""
    cartridge = replace(CARTRIDGE, tone=tone, templates=templates)
    try:
        said = voice.speak(COMMENT, POD, cartridge, IN_TIME)
    except VoiceFailed as failure:
        said = str(failure)
    assert said


def test_it_leaves_the_cartridge_as_it_is(voice: Voice) -> None:
    """A cartridge is shared by all the comments of its pod."""
    cartridge = replace(CARTRIDGE, templates={"rewrites": {"Great post!": ["Fantastic post!"]}, "openers": ["Wow!"]})
    before = copy.deepcopy(cartridge)
    voice.speak(COMMENT, POD, cartridge, IN_TIME)
    assert cartridge == before


def test_threads_may_share_it(voice: Voice) -> None:
    """A worker has one voice and several threads; each activity is given its own words, whoever asks."""
    activities = [replace(COMMENT, id=f"activity-{n}", comment_text=f"Great post {n}!") for n in range(40)]
    alone = [voice.speak(activity, POD, CARTRIDGE, IN_TIME) for activity in activities]
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(lambda activity: voice.speak(activity, POD, CARTRIDGE, IN_TIME), activities))
    assert together == alone


def test_the_fake_says_fails_and_remembers_as_it_was_told() -> None:
    """A script lasts until the next one, and every request is remembered in order."""
    fake = InMemoryVoice()
    fake.will_fail("activity-1", "no tongue")
    with pytest.raises(VoiceFailed, match="no tongue"):
        fake.speak(COMMENT, POD, CARTRIDGE, IN_TIME)
    fake.will_say("activity-1", "Fantastic post!")
    assert fake.speak(COMMENT, POD, CARTRIDGE, IN_TIME) == "Fantastic post!"
    assert fake.speak(replace(COMMENT, id="activity-2"), POD, CARTRIDGE, IN_TIME) == "Great post!"
    assert fake.spoken_for == ["activity-1", "activity-1", "activity-2"]


def test_the_fake_lets_something_happen_before_it_speaks() -> None:
    """That is where a test lets time pass, or the world change."""
    met: list[tuple[str, Deadline]] = []
    fake = InMemoryVoice(before_speaking=lambda activity, deadline: met.append((activity.id, deadline)))
    fake.speak(COMMENT, POD, CARTRIDGE, IN_TIME)
    assert met == [("activity-1", IN_TIME)]
