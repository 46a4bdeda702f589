"""When an incident begins and when it is over, without flickering in between."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engagement_core.alerting.conditions import breaker_open
from engagement_core.alerting.judge import Judgement, judge
from engagement_core.alerting.policy import IncidentPolicy
from engagement_core.decisions.bury import bury
from engagement_core.model.decision import Decision, RaiseAlert
from engagement_core.model.errors import TAXONOMY, Cause, Failure, Scope
from engagement_core.model.incident import IncidentKind, OpenIncident
from engagement_core.model.incident_facts import IncidentFacts, OldestUnknown, SilentWorker
from support.builders import NOW, SECOND, a_snapshot, the

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POLICY = IncidentPolicy()
CALM = IncidentFacts(seen_at=NOW)
LOST = SilentWorker(worker_id="host:1:a", host="host", beat_at=NOW - MINUTE, replaced_by=None, is_news=True)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "alerts.md"


def an_incident(kind: IncidentKind, subject: str = "", *, quiet: timedelta = SECOND, **changes: Any) -> OpenIncident:
    """An open incident that was last raised `quiet` ago and began an hour before that."""
    incident = OpenIncident(
        incident=kind.about(subject) if subject else kind.value,
        kind=kind.value,
        activity_id="activity-1",
        times=1,
        raised_at=NOW - HOUR - quiet,
        last_at=NOW - quiet,
    )
    return replace(incident, **changes)


def judged(facts: IncidentFacts = CALM, *incidents: OpenIncident, waiting: int = 0) -> Judgement:
    """The judgement of these facts while these incidents are open."""
    return judge(replace(facts, open_incidents=incidents), waiting=waiting, policy=POLICY)


def is_over(incident: OpenIncident, facts: IncidentFacts = CALM, waiting: int = 0) -> bool:
    """Whether the incident is said to be over."""
    return [over.incident for over in judged(facts, incident, waiting=waiting).over] == [incident]


def the_alert(judgement: Judgement) -> RaiseAlert:
    """The only alert that was raised."""
    (alert,) = judgement.raised
    return alert


def attempts(count: int, failed: int) -> IncidentFacts:
    """So many attempts, so many of them failed."""
    return replace(CALM, attempts=count, errors={"rate_limit": failed} if failed else {})


def unknown_for(age: timedelta) -> IncidentFacts:
    """The oldest unknown outcome."""
    return replace(CALM, oldest_unknown=OldestUnknown(activity_id="activity-7", since=NOW - age))


def test_when_all_is_well_nothing_is_said() -> None:
    """No facts, no incidents."""
    assert judged() == Judgement()


@pytest.mark.parametrize(
    ("facts", "waiting", "kind"),
    [
        (CALM, 1_001, IncidentKind.QUEUE_DEPTH),
        (attempts(20, 3), 0, IncidentKind.ERROR_RATE),
        (replace(CALM, silent=(LOST,)), 0, IncidentKind.WORKER_LOST),
        (unknown_for(HOUR), 0, IncidentKind.UNKNOWN_OUTCOME),
    ],
    ids=lambda value: value.value if isinstance(value, IncidentKind) else None,
)
def test_condition_is_raised_once_with_the_next_step(facts: IncidentFacts, waiting: int, kind: IncidentKind) -> None:
    """It is not raised while its incident is open. A lost worker counts only as long as it is news."""
    alert = the_alert(judged(facts, waiting=waiting))
    assert alert.kind == kind.value
    assert alert.next_step
    assert alert.message.endswith(f"Next: {alert.next_step}")
    known = replace(facts, silent=tuple(replace(worker, is_news=False) for worker in facts.silent))
    incident = an_incident(kind, alert.incident.partition(":")[2])
    assert incident.incident == alert.incident
    assert judged(known, incident, waiting=waiting) == Judgement()


@pytest.mark.parametrize(
    ("facts", "waiting"),
    [
        (CALM, 1_000),
        (attempts(19, 19), 0),
        (attempts(20, 2), 0),
        (unknown_for(HOUR - SECOND), 0),
        (replace(CALM, silent=(replace(LOST, is_news=False),)), 0),
    ],
    ids=["depth", "too few", "ten per cent", "younger", "told"],
)
def test_nothing_is_raised_at_the_limit(facts: IncidentFacts, waiting: int) -> None:
    """More than a thousand, more than ten per cent of at least twenty, older than an hour."""
    assert judged(facts, waiting=waiting).raised == ()


def test_alerts_name_what_a_person_looks_for() -> None:
    """They name the activity, the most frequent error, the worker and its host."""
    unknown = the_alert(judged(unknown_for(2 * HOUR)))
    assert (unknown.activity_id, "unknown for 2 h" in unknown.message) == ("activity-7", True)
    errors = replace(CALM, attempts=40, errors={"api_error": 3, "rate_limit": 9})
    assert "12 of 40 attempts of the last 5 min failed, most often with rate_limit" in the_alert(judged(errors)).message
    lost = the_alert(judged(replace(CALM, silent=(LOST,))))
    assert (lost.incident, "host:1:a" in lost.message) == ("worker_lost:host", True)


def test_breaker_alert_says_for_how_long() -> None:
    """It is raised whenever the breaker is found open."""
    alert = breaker_open(timedelta(seconds=4.2))
    assert alert.incident == "breaker_open"
    assert "No call is made for 4 s" in alert.message


def test_backlog_and_error_rate_are_over_at_half_of_what_began_them() -> None:
    """Otherwise they would begin and end at every run."""
    depth, rate = an_incident(IncidentKind.QUEUE_DEPTH), an_incident(IncidentKind.ERROR_RATE)
    assert [is_over(depth, waiting=waiting) for waiting in (1_000, 501, 500)] == [False, False, True]
    assert [is_over(rate, attempts(20, failed)) for failed in (2, 1)] == [False, True]
    assert not is_over(rate, attempts(3, 1))
    assert is_over(rate, attempts(0, 0))


def test_unknown_outcome_is_over_when_none_is_that_old() -> None:
    """It does not matter which activity began it."""
    incident = an_incident(IncidentKind.UNKNOWN_OUTCOME)
    assert not is_over(incident, unknown_for(HOUR))
    assert is_over(incident, unknown_for(HOUR - SECOND))
    assert is_over(incident)


def test_lost_worker_is_over_when_it_is_replaced_and_the_host_is_quiet() -> None:
    """A crash loop is one incident; another host's loss is not this one's."""
    quiet = an_incident(IncidentKind.WORKER_LOST, "host", quiet=5 * MINUTE)
    told = replace(LOST, is_news=False)
    replaced = replace(CALM, silent=(replace(told, replaced_by="host:2:b"), replace(told, host="elsewhere")))
    assert is_over(quiet, replaced)
    assert not is_over(quiet, replace(CALM, silent=(told,)))
    assert not is_over(an_incident(IncidentKind.WORKER_LOST, "host", quiet=4 * MINUTE), replaced)
    assert is_over(quiet)
    (over,) = judged(replaced, quiet).over
    assert "Worker host:2:b has replaced it." in over.message


def test_breaker_is_over_when_nobody_has_found_it_open_for_a_minute() -> None:
    """Half-open for a moment is not closed."""
    assert not is_over(an_incident(IncidentKind.BREAKER_OPEN, quiet=59 * SECOND))
    assert is_over(an_incident(IncidentKind.BREAKER_OPEN, quiet=61 * SECOND))


def test_sign_out_is_over_when_the_hold_is_lifted() -> None:
    """Not earlier, however long that takes."""
    incident = an_incident(IncidentKind.AUTH_ERROR, "account-1", quiet=300 * HOUR)
    assert not is_over(incident, replace(CALM, held=frozenset({"account-1"})))
    assert is_over(incident, replace(CALM, held=frozenset({"account-2"})))


def test_rate_limit_is_over_after_a_success_or_an_hour() -> None:
    """An hour without another one."""
    incident = an_incident(IncidentKind.RATE_LIMIT, "account-1")
    assert not is_over(incident)
    assert is_over(incident, replace(CALM, recovered=frozenset({"account-1"})))
    assert is_over(an_incident(IncidentKind.RATE_LIMIT, "account-1", quiet=HOUR + SECOND))


def test_dead_letters_are_over_when_none_of_the_type_is_open_or_none_came_for_a_day() -> None:
    """A letter that nobody deals with must not silence its kind for ever."""
    incident = an_incident(IncidentKind.DEAD_LETTER, "api_error", quiet=24 * HOUR)
    some = replace(CALM, buried=frozenset({"api_error"}))
    assert not is_over(incident, some)
    assert is_over(incident)
    assert is_over(replace(incident, last_at=incident.last_at - SECOND), some)


def test_unreadable_payload_is_over_after_a_day() -> None:
    """Nothing shows earlier that it is over."""
    assert not is_over(an_incident(IncidentKind.UNREADABLE_PAYLOAD, quiet=24 * HOUR))
    assert is_over(an_incident(IncidentKind.UNREADABLE_PAYLOAD, quiet=25 * HOUR))


def test_notice_says_how_long_and_how_often() -> None:
    """It says how often only for kinds that count events."""
    letters = an_incident(IncidentKind.DEAD_LETTER, "api_error", quiet=HOUR, times=100)
    depth = an_incident(IncidentKind.QUEUE_DEPTH, quiet=10 * SECOND, times=8)
    (first, second) = judged(CALM, letters, depth).over
    assert first.message.startswith("Resolved after 2 h, 100 times: dead_letter:api_error. ")
    assert second.message.startswith("Resolved after 1 h: queue_depth. ")


def test_incident_of_a_kind_that_nobody_knows_stays() -> None:
    """A newer release has raised it."""
    assert not is_over(replace(an_incident(IncidentKind.QUEUE_DEPTH), kind="x", incident="x"))


@pytest.mark.parametrize("cause", [cause for cause, means in TAXONOMY.items() if means.scope is not Scope.ACCOUNT])
def test_dead_letters_of_one_type_are_one_incident(cause: Cause) -> None:
    """It names the first activity, what to do, and how to find the others."""
    alert = the(RaiseAlert, Decision(None, buried("a-1", cause)))
    error_type = TAXONOMY[cause].error_type.value
    assert (alert.incident, alert.kind, alert.activity_id) == (f"dead_letter:{error_type}", "dead_letter", "a-1")
    assert f"engagement dead-letters list --error-type {error_type}" in alert.message
    assert the(RaiseAlert, Decision(None, buried("a-2", cause))).incident == alert.incident


def buried(activity_id: str, cause: Cause) -> Any:
    """The writes of a burial after a call by account-1."""
    failure = Failure(cause=cause, message="It went wrong.")
    return bury(a_snapshot(), activity_id, failure, counts=True, account_id="account-1").writes


def test_trouble_with_an_account_is_one_incident_of_the_account() -> None:
    """The alert of a sign-out says how the account's other work continues."""
    signed_out = the(RaiseAlert, Decision(None, buried("a-1", Cause.ACCOUNT_SIGNED_OUT)))
    assert (signed_out.incident, signed_out.kind) == ("auth_error:account-1", "auth_error")
    assert "engagement resume --account account-1" in signed_out.message
    limited = the(RaiseAlert, Decision(None, buried("a-1", Cause.RATE_LIMITED)))
    assert (limited.incident, limited.kind) == ("rate_limit:account-1", "rate_limit")


def test_every_kind_is_documented_and_nothing_else() -> None:
    """A section each: what it means, what to do, when it is over."""
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    documented = {section.partition("\n")[0].strip("` "): section for section in sections}
    assert set(documented) == {kind.value for kind in IncidentKind}
    for name, section in documented.items():
        for part in ("**Means**", "**Do**", "**Over**"):
            assert part in section, (name, part)
