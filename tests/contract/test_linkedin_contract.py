"""What every `LinkedIn` must do: one suite for the fake and for Unipile's gateway, in both dialects, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import pytest

from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.unipile.gateway import DIALECTS, UnipileGateway
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.provider import Answer, Applied, NoReadBack, NotSent, Seen
from engagement_core.ports.linkedin import LinkedIn
from fakes.linkedin import InMemoryLinkedIn, Outcome
from support.provider import API_KEY, RealClock, account, comment, like, within

Effects = list[tuple[str, str, str | None]]

ANSWERED: dict[str, Outcome] = {
    "limited": Outcome(
        applies=False,
        answer=Failure(cause=Cause.RATE_LIMITED, message="Too many.", retry_after=timedelta(seconds=60)),
    ),
    "gone": Outcome(applies=False, answer=Failure(cause=Cause.POST_GONE, message="No such post.")),
    "lost": Outcome(applies=False, answer=Failure(cause=Cause.NO_ANSWER, message="No answer.")),
    "applied and lost": Outcome(answer=Failure(cause=Cause.NO_ANSWER, message="No answer.")),
}
FAULTS: dict[str, dict[str, Any]] = {
    "limited": {"action": "rate_limit", "retry_after": 60},
    "gone": {"action": "status", "status": 404},
    "lost": {"action": "drop_before"},
    "applied and lost": {"action": "apply_then_drop"},
}


class World(Protocol):
    """A provider, and the means to tell it what to do and to see what it did."""

    linkedin: LinkedIn
    reads_back: bool

    def next_is(self, what: str) -> None:
        """Let the next call go so."""
        ...

    def effects(self) -> Effects:
        """What really happened: type, post and text, in order."""
        ...

    def rest(self) -> None:
        """Make the provider unavailable for a while, as a breaker does."""
        ...


@dataclass
class InMemoryWorld(World):
    """The fake."""

    linkedin: InMemoryLinkedIn
    reads_back: bool

    def next_is(self, what: str) -> None:
        """See `World`."""
        self.linkedin.will(ANSWERED[what])

    def effects(self) -> Effects:
        """See `World`."""
        done = [effect.engagement for effect in self.linkedin.ledger]
        return [(engagement.engagement_type.value, engagement.post_id, engagement.text) for engagement in done]

    def rest(self) -> None:
        """See `World`."""
        self.linkedin.close_for(timedelta(seconds=5))


@dataclass
class UnipileWorld(World):
    """The gateway and the sandbox."""

    linkedin: UnipileGateway
    reads_back: bool
    sandbox: Sandbox
    breaker: HostBreaker

    def next_is(self, what: str) -> None:
        """See `World`."""
        self.sandbox.set_faults([{"match": {"times": 1}, **FAULTS[what]}])

    def effects(self) -> Effects:
        """See `World`."""
        effects = self.sandbox.ledger()["effects"]
        return [(effect["engagement_type"], effect["post_id"], effect["text"]) for effect in effects]

    def rest(self) -> None:
        """See `World`."""
        for _ in range(20):
            with self.breaker.admit() as admission:
                admission.failed()


@contextmanager
def unipile(version: str, session: HttpSession) -> Iterator[World]:
    """The real adapter against a sandbox of its own."""
    breaker = HostBreaker(host="sandbox", clock=RealClock())
    with Sandbox() as sandbox:
        gateway = UnipileGateway(
            base_url=sandbox.url, dialect=DIALECTS[version], api_key=API_KEY, session=session, breaker=breaker
        )
        yield UnipileWorld(linkedin=gateway, reads_back=version != "v0", sandbox=sandbox, breaker=breaker)


@pytest.fixture(scope="module")
def session() -> Iterator[HttpSession]:
    """One for all: it keeps nothing of a call but connections."""
    with HttpSession() as session:
        yield session


@pytest.fixture(params=["in_memory", "in_memory without reads", "unipile v0", "unipile v1"])
def world(request: pytest.FixtureRequest, session: HttpSession) -> Iterator[World]:
    """Each provider in turn."""
    if request.param.startswith("unipile"):
        with unipile(request.param.removeprefix("unipile "), session) as world:
            yield world
    else:
        reads_back = request.param == "in_memory"
        yield InMemoryWorld(linkedin=InMemoryLinkedIn(reads_back=reads_back), reads_back=reads_back)


def effect_of(answer: Answer) -> Effect:
    """What the answer says of the effect."""
    assert isinstance(answer, Failure)
    return answer.effect


def test_like_happens_once(world: World) -> None:
    """One call, one effect; a like has no id."""
    answer = world.linkedin.engage(like("urn:li:activity:1"), within(5))
    assert isinstance(answer, Applied)
    assert answer.engagement_id is None
    assert world.effects() == [("like", "urn:li:activity:1", None)]


@pytest.mark.parametrize("text", ["Well said & done.", "Ünïcode “quotes” 😀\nsecond line", "x" * 1250])
def test_comment_happens_once_with_exactly_its_text(world: World, text: str) -> None:
    """Character for character, on exactly its post; and it gets an id."""
    answer = world.linkedin.engage(comment(text, "urn:li:ugcPost:a/b?c"), within(5))
    assert isinstance(answer, Applied)
    assert answer.engagement_id
    assert world.effects() == [("comment", "urn:li:ugcPost:a/b?c", text)]


def test_too_late_is_not_sent(world: World) -> None:
    """A passed deadline means that nothing reaches the provider."""
    answer = world.linkedin.engage(like(), within(0))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.effect) == (Cause.NOT_SENT, Effect.NONE)
    assert world.effects() == []


def test_rate_limit_tells_how_long_to_wait_and_nothing_happened(world: World) -> None:
    """The provider's own wish is passed on."""
    world.next_is("limited")
    answer = world.linkedin.engage(comment(), within(5))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.retry_after) == (Cause.RATE_LIMITED, timedelta(seconds=60))
    assert effect_of(answer) is Effect.NONE
    assert world.effects() == []


def test_clear_no_has_no_effect(world: World) -> None:
    """A post that is gone."""
    world.next_is("gone")
    assert effect_of(world.linkedin.engage(like(), within(5))) is Effect.NONE
    assert world.effects() == []


@pytest.mark.parametrize(("what", "count"), [("lost", 0), ("applied and lost", 1)])
def test_lost_answer_is_unknown_and_not_sent_again(world: World, what: str, count: int) -> None:
    """Whether it happened or not, nobody can tell from here."""
    world.next_is(what)
    assert effect_of(world.linkedin.engage(comment(), within(5))) is Effect.UNKNOWN
    assert len(world.effects()) == count


def test_provider_at_rest_is_not_called_but_can_be_asked(world: World) -> None:
    """Held-back calls say for how long; read-backs go past it."""
    assert world.linkedin.available_in() == timedelta(0)
    world.rest()
    answer = world.linkedin.engage(like(), within(5))
    assert isinstance(answer, NotSent)
    assert timedelta(seconds=4) < answer.retry_in <= timedelta(seconds=5)
    assert timedelta(seconds=4) < world.linkedin.available_in() <= timedelta(seconds=5)
    assert world.effects() == []
    assert not isinstance(world.linkedin.read_back(like(), within(5)), Failure)


def test_read_back_shows_exactly_our_own(world: World) -> None:
    """This account, this post, this type: no others."""
    other = account(provider_account_id="acc-2", access_token="token-2", account_id="account-2")
    mine = comment("mine", "p1")
    for engagement in (mine, comment("theirs", "p1", by=other), comment("elsewhere", "p2"), like("p1", by=other)):
        world.linkedin.engage(engagement, within(5))
    seen = world.linkedin.read_back(mine, within(5))
    if not world.reads_back:
        assert seen == NoReadBack()
        return
    assert isinstance(seen, Seen)
    assert [found.text for found in seen.own] == ["mine"]
    assert seen.own[0].engagement_id
    assert seen.own[0].created_at is not None
    assert world.linkedin.read_back(like("p1"), within(5)) == Seen(own=())


def test_read_back_shows_a_like_without_date_or_text(world: World) -> None:
    """That is all a reaction tells."""
    world.linkedin.engage(like("p1"), within(5))
    seen = world.linkedin.read_back(like("p1"), within(5))
    if not world.reads_back:
        assert seen == NoReadBack()
        return
    assert isinstance(seen, Seen)
    assert [(found.engagement_id, found.text, found.created_at) for found in seen.own] == [(None, None, None)]


def test_read_back_too_late_proves_nothing(world: World) -> None:
    """A failure, not an empty answer."""
    seen = world.linkedin.read_back(comment(), within(0))
    assert isinstance(seen, Failure if world.reads_back else NoReadBack)
