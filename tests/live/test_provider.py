"""What we believe of the provider, asked of the provider itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from engagement_core.decisions.matching import recognise
from engagement_core.model.errors import Effect, ErrorType, Failure
from engagement_core.model.provider import AccountHealth, Applied, Engagement, Seen
from live.conftest import Live
from support.builders import a_snapshot, an_attempt

pytestmark = pytest.mark.timeout(0)  # each wait has an end of its own, LIVE_UNIPILE_PATIENCE_S


def seen_when(live: Live, engagement: Engagement, holds: Callable[[Seen], bool]) -> Seen:
    """The first complete read of which something holds. Reads lag: it may take a while."""
    until = live.clock.elapsed() + live.patience.total_seconds()
    while True:
        seen = live.gateway.read_back(engagement, live.deadline())
        assert isinstance(seen, Seen), seen
        if holds(seen):
            return seen
        assert live.clock.elapsed() < until, f"not shown within {live.patience}: {len(seen.own)} of ours are"
        time.sleep(3)  # the provider gives no signal


def test_the_account_is_well(live: Live) -> None:
    """Each of its sources says OK, which is what lifts a hold."""
    health = live.gateway.health(live.account, live.deadline())
    assert isinstance(health, AccountHealth), health
    assert health.is_good, health.words


def test_a_like_may_be_sent_twice_and_is_shown(live: Live) -> None:
    """A reaction is set, not added: the second one is no error, and the post shows one of ours."""
    for _ in range(2):
        answer = live.gateway.engage(live.like(), live.deadline())
        assert isinstance(answer, Applied), answer
    seen_when(live, live.like(), lambda seen: len(seen.own) >= 1)


def test_a_comment_is_shown_as_ours(live: Live) -> None:
    """A read-back recognises it by its words and its time, under the id that the provider gave it."""
    began_at = datetime.now(timezone.utc)
    comment = live.comment()
    answer = live.gateway.engage(comment, live.deadline())
    assert isinstance(answer, Applied), answer
    sent = replace(an_attempt(text=comment.text), began_at=began_at)
    recognised = partial(recognise, a_snapshot(), sent, since=began_at, lag=live.patience)
    ours = recognised(seen_when(live, comment, lambda seen: recognised(seen).ours is not None)).ours
    assert ours is not None
    assert answer.engagement_id in (None, ours.engagement_id)
    assert ours.created_at is None or abs(ours.created_at - began_at) < timedelta(minutes=1)


def test_a_post_that_does_not_exist_is_refused_without_an_effect(live: Live) -> None:
    """The clear no that may be believed."""
    answer = live.gateway.engage(live.like("urn:li:activity:1"), live.deadline())
    assert isinstance(answer, Failure), answer
    assert (answer.error_type, answer.effect) == (ErrorType.POST_NOT_FOUND, Effect.NONE), answer.message
