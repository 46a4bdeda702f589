"""One suite for the activity store, run against the fake and against PostgreSQL.

The one rule: a test speaks of rows and of what the port shows; `tables` alone knows where they lie.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.statements import render
from adapters.postgres.store.sweep_statements import FAIR_INDEXES
from engagement_core.decisions.claim import ClaimPolicy, Holder, decide_claim
from engagement_core.model.activity import Activity, EngagementType, Malformed, Pod
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
    Decision,
    ErrorNote,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    RaiseAlert,
    SaveAttempt,
    as_it_is,
)
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import FOREIGN_FOR, Orphan
from engagement_core.model.outcome import Deferred
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreRefused, StoreUnavailable
from support.builders import CARTRIDGE, POD, a_comment, a_like, an_account
from support.servers import ServerUrls
from support.tables import InMemoryTables, PostgresTables, Tables, postgres_tables, show, write

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(hours=24)
AWKWARD = "nul \x00 surrogate \ud800 emoji 👩‍👩‍👧 quote ' percent %s backslash \\ brace {}"
STORED = "nul  surrogate ? emoji 👩‍👩‍👧 quote ' percent %s backslash \\ brace {}"


@pytest.fixture
def postgres(database: PostgresTables) -> PostgresTables:
    """Empty tables in PostgreSQL."""
    database.empty()
    return database


@pytest.fixture(scope="module")
def bare(servers: ServerUrls, template_database: str) -> Iterator[PostgresTables]:
    """A database that a previous release has made. It lacks the functions that keep the store's plans: the store sends
    the statements themselves. It lacks the indexes of the accounts: the sweep reads all that is due."""
    with postgres_tables(servers.database_url, template_database) as tables:
        with tables.pool.connection() as connection:
            for function in render(read_catalog(connection)).functions:
                tables.sql(f"DROP FUNCTION {function.name}")
        tables.sql(f"DROP INDEX {', '.join(FAIR_INDEXES)}")
        tables.store = PostgresActivityStore(tables.pool)
        yield tables


@pytest.fixture
def bare_postgres(bare: PostgresTables) -> PostgresTables:
    """Empty tables in that one."""
    bare.empty()
    return bare


@pytest.fixture(
    params=[
        "in_memory",
        pytest.param("postgres", marks=pytest.mark.servers),
        pytest.param("bare_postgres", marks=pytest.mark.servers),
    ]
)
def tables(request: pytest.FixtureRequest) -> Tables:
    """The tables of each implementation, with an activity's surroundings in them."""
    found: Tables = InMemoryTables() if request.param == "in_memory" else request.getfixturevalue(request.param)
    found.put(CARTRIDGE, POD, an_account())
    return found


def an_attempt_at(now: datetime, phase: Phase = Phase.SENDING, **changes: Any) -> Attempt:
    """An attempt that began a second before `now`."""
    began_at = None if phase is Phase.CLAIMED else now - SECOND
    attempt = Attempt(
        activity_id="activity-1",
        number=1,
        token="worker-1/1",
        worker_id="worker-1",
        phase=phase,
        event=Event.CLAIM,
        effect=Effect.UNKNOWN,
        account_id="account-1",
        engagement_type=EngagementType.LIKE,
        post_id="post-1",
        claimed_at=now - SECOND,
        deadline_at=now + MINUTE,
        began_at=began_at,
    )
    return replace(attempt, **changes)


def closed(attempt: Attempt, **changes: Any) -> Attempt:
    """The attempt, proven to be without effect."""
    return replace(attempt, phase=Phase.SCHEDULED, event=Event.REFUSE, effect=Effect.NONE, **changes)


# -- what is shown


def test_the_activity_is_shown_with_its_surroundings(tables: Tables) -> None:
    """Pod, account and voice are those of the row."""
    activity = a_comment(failure_count=2, next_retry_at=a_like().scheduled_for + SECOND)
    tables.put(activity)
    shown = show(tables)
    assert (shown.activity, shown.pod, shown.account, shown.cartridge) == (activity, POD, an_account(), CARTRIDGE)
    assert (shown.attempts, shown.controls, shown.sent_in_last_day) == ((), (), 0)
    assert shown.credited == frozenset()


def test_the_time_is_the_stores(tables: Tables) -> None:
    """Aware, and neither older nor newer than the change."""
    tables.put(a_like())
    before = tables.now()
    assert before <= show(tables).now <= tables.now()


@pytest.mark.parametrize("activity_id", ["no-such-activity", "", "a\x00b", "x" * 5000, "'; --", "👩‍👩‍👧"])
def test_what_does_not_exist_is_shown_as_none(tables: Tables, activity_id: str) -> None:
    """A job may ring for anything."""
    shown = show(tables, activity_id)
    assert (shown.activity, shown.attempts) == (None, ())


def test_lone_surrogate_names_no_activity(tables: Tables) -> None:
    """JSON in a job can bring one in."""
    assert show(tables, "\ud800").activity is None


def test_the_profiles_account_acts(tables: Tables) -> None:
    """Whatever account the pod has."""
    other = an_account(id="account-2", profile_id="profile-2")
    tables.put(a_like(profile_id="profile-2"), other)
    assert show(tables).account == other


def test_of_two_accounts_of_a_profile_the_first_by_id_acts(tables: Tables) -> None:
    """The same one every time."""
    tables.put(a_like(), an_account(id="account-0"), an_account(id="account-2"))
    assert show(tables).account == an_account(id="account-0")


def test_profile_without_an_account_shows_none(tables: Tables) -> None:
    """Never the pod's."""
    tables.put(a_like(profile_id="profile-9"))
    assert show(tables).account is None


@pytest.mark.parametrize("profile_id", [None, ""])
def test_without_a_profile_the_pods_account_acts(tables: Tables, profile_id: str | None) -> None:
    """Also where a form stored an empty text."""
    tables.put(a_like(profile_id=profile_id), an_account(profile_id=None))
    assert show(tables).account == an_account(profile_id=None)


def test_what_is_missing_is_shown_as_none(tables: Tables) -> None:
    """A pod that does not exist has neither account nor voice."""
    tables.put(a_like(pod_id="pod-9", profile_id=None))
    shown = show(tables)
    assert (shown.pod, shown.account, shown.cartridge) == (None, None, None)


def test_pod_without_voice_and_account_is_shown(tables: Tables) -> None:
    """Both may be missing."""
    bare = Pod(id="pod-1", voice_cartridge_id=None, linkedin_account_id=None)
    tables.put(a_like(profile_id=None), bare)
    shown = show(tables)
    assert (shown.pod, shown.account, shown.cartridge) == (bare, None, None)


def test_another_services_status_is_shown_as_it_is(tables: Tables) -> None:
    """The domain decides what it means."""
    tables.put(a_like(status="cancelled"))
    activity = show(tables).activity
    assert activity is not None
    assert activity.status == "cancelled"


def test_attempts_are_shown_by_number_with_everything_in_them(tables: Tables) -> None:
    """Written out of order, read back as they were."""
    tables.put(a_comment())
    now = tables.now()
    first = closed(
        an_attempt_at(now),
        ended_at=now,
        text="Hello!\n👩‍👩‍👧",
        answer={"effect": "applied", "engagement_id": None},
        error={"message": "No.", "retry_after_s": 1.5},
        evidence={"effect": "none"},
        crashed=True,
        requeued_at=now,
    )
    second = an_attempt_at(now, Phase.UNKNOWN, number=2, token="worker-1/2", look_at=now)
    write(tables, SaveAttempt(second), SaveAttempt(first))
    assert show(tables).attempts == (first, second)


def test_attempts_of_others_are_not_shown(tables: Tables) -> None:
    """Not even of an activity whose id begins alike."""
    tables.put(a_like(), a_like(id="activity-11"))
    write(tables, SaveAttempt(an_attempt_at(tables.now(), activity_id="activity-11")))
    assert show(tables).attempts == ()


def a_control(scope: BlockScope, scope_id: str, until: datetime | None, **changes: Any) -> Control:
    """A cool-down unless it has no end."""
    kind = ControlKind.PAUSE if until is None else ControlKind.COOL_DOWN
    control = Control(kind=kind, scope=scope, scope_id=scope_id, until=until, reason="because")
    return replace(control, **changes)


def test_controls_in_force_are_shown(tables: Tables) -> None:
    """Those of its pod, its account and everything; not those of others."""
    tables.put(a_like())
    later = tables.now() + MINUTE
    concerned = [
        a_control(BlockScope.ALL, "", later),
        a_control(BlockScope.POD, "pod-1", None),
        a_control(BlockScope.ACCOUNT, "account-1", later),
        a_control(BlockScope.ACCOUNT, "account-1", None, kind=ControlKind.HOLD),
    ]
    others = [
        a_control(BlockScope.POD, "pod-2", None),
        a_control(BlockScope.ACCOUNT, "account-2", later),
        a_control(BlockScope.POD, "account-1", None),
    ]
    write(tables, *(Block(control) for control in (*concerned, *others)))
    assert sorted(show(tables).controls, key=repr) == sorted(concerned, key=repr)


def test_control_that_has_ended_is_not_shown(tables: Tables) -> None:
    """A cool-down ends by itself."""
    tables.put(a_like())
    write(tables, Block(a_control(BlockScope.ACCOUNT, "account-1", tables.now())))
    assert show(tables).controls == ()


def test_control_keeps_the_later_end(tables: Tables) -> None:
    """A second, shorter cool-down does not shorten the first."""
    tables.put(a_like())
    now = tables.now()
    for minutes in (5, 9, 2):
        write(tables, Block(a_control(BlockScope.ACCOUNT, "account-1", now + minutes * MINUTE)))
    assert [control.until for control in show(tables).controls] == [now + 9 * MINUTE]


@pytest.mark.parametrize("endless_first", [True, False])
def test_control_without_an_end_stays_without_one(tables: Tables, endless_first: bool) -> None:
    """A person must lift it."""
    tables.put(a_like())
    ends = [None, tables.now() + MINUTE]
    for until in ends if endless_first else reversed(ends):
        write(tables, Block(a_control(BlockScope.POD, "pod-1", until, kind=ControlKind.PAUSE)))
    assert [control.until for control in show(tables).controls] == [None]


def test_sends_of_the_last_day_are_counted_for_a_limited_account(tables: Tables) -> None:
    """Charged at begin, whatever came of it; a claim, a release, an older one and another account's are not."""
    tables.put(a_like(), an_account(daily_limit=5))
    now = tables.now()
    attempts = [
        an_attempt_at(now, number=1),
        closed(an_attempt_at(now, number=2, began_at=now - DAY + MINUTE)),
        closed(an_attempt_at(now, number=3, began_at=now - DAY - MINUTE)),
        closed(an_attempt_at(now, number=4, account_id="account-2")),
        replace(closed(an_attempt_at(now, number=5)), event=Event.RELEASE),
        replace(closed(an_attempt_at(now, number=6)), began_at=None),
    ]
    write(tables, *(SaveAttempt(attempt) for attempt in attempts))
    assert show(tables).sent_in_last_day == 2
    tables.put(an_account())
    assert show(tables).sent_in_last_day == 0


def test_credited_are_the_ids_that_another_activity_has(tables: Tables) -> None:
    """Of those that were asked about, and never one's own."""
    tables.put(a_like(), a_like(id="activity-2"), a_like(id="activity-3"))
    for number in (1, 2, 3):
        write(tables, executed(tables.now(), f"activity-{number}", engagement_id=f"c-{number}"))
    assert show(tables, crediting=("c-1", "c-2", "c-9")).credited == frozenset({"c-2"})


def test_an_id_that_an_activity_of_another_post_has_is_not_credited(tables: Tables) -> None:
    """A provider may count anew on each post, or after its database was lost: one more comment would be sent."""
    tables.put(a_comment(), a_comment(id="activity-2", post_id="post-2"))
    write(tables, executed(tables.now(), "activity-2", engagement_id="c-2", post_id="post-2"))
    assert show(tables, crediting=("c-2",)).credited == frozenset()
    # What counts is the post that was acted on, not the one that the row has come to name.
    write(tables, SaveAttempt(an_attempt_at(tables.now(), post_id="post-2")))
    assert show(tables, crediting=("c-2",)).credited == frozenset({"c-2"})


def test_an_id_of_another_account_s_comment_on_the_same_post_is_not_credited(tables: Tables) -> None:
    """A provider may count for each account."""
    tables.put(a_comment(), a_comment(id="activity-2"), a_comment(id="activity-3"))
    now = tables.now()
    write(tables, SaveAttempt(an_attempt_at(now)))
    for number, account_id in ((2, "account-2"), (3, "account-1")):
        key = f"activity-{number}"
        attempt = replace(an_attempt_at(now, account_id=account_id), activity_id=key, token=key)
        write(tables, SaveAttempt(replace(attempt, phase=Phase.EXECUTED, event=Event.CONFIRM, effect=Effect.APPLIED)))
        write(tables, executed(now, key, engagement_id=f"c-{number}"))
    assert show(tables, crediting=("c-2", "c-3")).credited == frozenset({"c-3"})


def test_neighbours_are_others_comments_on_the_post_that_may_have_had_an_effect(tables: Tables) -> None:
    """By the same account; shown when ids are asked about, be there none."""
    now = tables.now()
    mine = an_attempt_at(now, engagement_type=EngagementType.COMMENT, text="Hello there!")
    done = {"phase": Phase.EXECUTED, "event": Event.CONFIRM, "effect": Effect.APPLIED}
    others: dict[str, dict[str, Any]] = {
        "under way": {},
        "lost": {"phase": Phase.UNKNOWN, "event": Event.LOSE_TRACK},
        "given up": {"phase": Phase.FAILED, "event": Event.BURY},
        "done": done,
        "claimed": {"phase": Phase.CLAIMED, "began_at": None},
        "refused": {"phase": Phase.SCHEDULED, "event": Event.REFUSE, "effect": Effect.NONE},
        "of another account": {"account_id": "account-2"},
        "on another post": {"post_id": "post-2"},
        "a like": {"engagement_type": EngagementType.LIKE},
        "of the day before": {**done, "began_at": now - DAY - MINUTE},
    }
    tables.put(a_comment(), *(a_comment(id=key) for key in others))
    write(tables, SaveAttempt(mine))
    for key, changes in others.items():
        write(tables, SaveAttempt(replace(mine, activity_id=key, token=key, **changes)))
    for crediting in ((), ("c-9",)):
        neighbours = show(tables, crediting=crediting).neighbours
        assert {each.activity_id for each in neighbours} == {"under way", "lost", "given up", "done"}
        assert {each.text for each in neighbours} == {"Hello there!"}
    assert show(tables).neighbours == ()


def test_provider_id_with_a_nul_can_be_asked_about(request: pytest.FixtureRequest, tables: Tables) -> None:
    """It comes out of JSON that somebody else wrote."""
    tables.put(a_comment())
    assert show(tables, crediting=("a\x00b", "\ud800")).credited == frozenset()


# -- what is written


def executed(now: datetime, activity_id: str = "activity-1", **changes: Any) -> MarkExecuted:
    """It happened."""
    mark = MarkExecuted(
        activity_id=activity_id,
        executed_at=now,
        post_id="post-1",
        engagement_id="c-1",
        created_at=None,
        provenance=Provenance.RESPONSE,
        comment_generated=None,
    )
    return replace(mark, **changes)


def a_note(now: datetime, *, will_retry: bool, message: str = "Too many requests.") -> ErrorNote:
    """What `last_error` will say."""
    return ErrorNote(error_type=ErrorType.RATE_LIMIT, message=message, timestamp=now, will_retry=will_retry)


def a_letter(now: datetime, message: str = "gave up", effect: Effect = Effect.NONE) -> DeadLetter:
    """A dead letter."""
    return DeadLetter(
        activity_id="activity-1",
        error_type=ErrorType.RATE_LIMIT,
        message=message,
        effect=effect,
        buried_at=now,
        next_step="Requeue it.",
    )


def test_change_returns_what_was_decided(tables: Tables) -> None:
    """The result goes to the caller."""
    tables.put(a_like())
    assert tables.store.change("activity-1", lambda shown: Decision(shown.activity)) == a_like()


def test_decision_that_raises_writes_nothing(tables: Tables) -> None:
    """Its exception comes through, and the store works on."""
    tables.put(a_like())

    def fail(_: Snapshot) -> Decision[None]:
        raise KeyError("a defect")

    with pytest.raises(KeyError, match="a defect"):
        tables.store.change("activity-1", fail)
    assert show(tables).activity == a_like()


def test_writes_are_applied_together_or_not_at_all(tables: Tables) -> None:
    """The last one is refused: the first ones have not happened."""
    tables.put(a_like())
    now = tables.now()
    write(tables, SaveAttempt(an_attempt_at(now)))
    second = SaveAttempt(an_attempt_at(now, number=2, token="worker-1/2"))
    with pytest.raises(StoreUnavailable):
        write(tables, MarkScheduled(activity_id="activity-1", next_retry_at=now, counts=True), second)
    shown = show(tables)
    assert shown.activity == a_like()
    assert len(shown.attempts) == 1


@pytest.mark.parametrize("effect", [Effect.UNKNOWN, Effect.APPLIED])
@pytest.mark.parametrize("other", [Effect.UNKNOWN, Effect.APPLIED])
def test_second_attempt_that_may_have_had_an_effect_is_refused(tables: Tables, effect: Effect, other: Effect) -> None:
    """The promise, said by the store itself."""
    tables.put(a_like())
    now = tables.now()
    write(tables, SaveAttempt(an_attempt_at(now, effect=effect)))
    with pytest.raises(StoreUnavailable):
        write(tables, SaveAttempt(an_attempt_at(now, number=2, token="worker-1/2", effect=other)))


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.REPEATABLE])
def test_attempt_after_a_harmless_one_is_taken(tables: Tables, effect: Effect) -> None:
    """Also in the same change that closes the first."""
    tables.put(a_like())
    first = an_attempt_at(tables.now())
    write(tables, SaveAttempt(first))
    harmless = replace(closed(first), effect=effect)
    write(tables, SaveAttempt(harmless), SaveAttempt(replace(first, number=2, token="worker-1/2")))
    assert [attempt.effect for attempt in show(tables).attempts] == [effect, Effect.UNKNOWN]


def test_saving_an_attempt_again_overwrites_it(tables: Tables) -> None:
    """By its number; who claimed it, and when, stays."""
    tables.put(a_like())
    first = an_attempt_at(tables.now())
    write(tables, SaveAttempt(first))
    write(tables, SaveAttempt(closed(first, crashed=True, evidence={"effect": "none"})))
    assert show(tables).attempts == (closed(first, crashed=True, evidence={"effect": "none"}),)


def test_scheduling_counts_only_what_failed(tables: Tables) -> None:
    """A release costs nothing."""
    tables.put(a_like())
    at = tables.now() + MINUTE
    write(tables, MarkScheduled(activity_id="activity-1", next_retry_at=at, counts=True))
    assert show(tables).activity == a_like(failure_count=1, next_retry_at=at)
    write(tables, MarkScheduled(activity_id="activity-1", next_retry_at=None))
    assert show(tables).activity == a_like(failure_count=1)


def test_what_happened_waits_for_nothing(tables: Tables) -> None:
    """The status is executed and no retry is planned; how often it failed before is kept."""
    tables.put(a_like(failure_count=1, next_retry_at=tables.now()))
    write(tables, executed(tables.now()))
    assert show(tables).activity == a_like(status="executed", failure_count=1)


@pytest.mark.parametrize(("counts", "failures"), [(True, 2), (False, 1)])
def test_what_failed_waits_for_a_person(tables: Tables, counts: bool, failures: int) -> None:
    """The status is failed, no retry is planned, and a failed attempt is counted where there was one."""
    tables.put(a_like(failure_count=1, next_retry_at=tables.now()))
    now = tables.now()
    failed = MarkFailed(activity_id="activity-1", executed_at=now, error=a_note(now, will_retry=False), counts=counts)
    write(tables, failed)
    assert show(tables).activity == a_like(status="failed", failure_count=failures)


def test_one_dead_letter_is_open_per_activity(tables: Tables) -> None:
    """A new one replaces it; a closed one is gone; closing twice is no error."""
    tables.put(a_like())
    now = tables.now()
    write(tables, AddDeadLetter(a_letter(now)))
    write(tables, AddDeadLetter(a_letter(now, "again", Effect.UNKNOWN)))
    assert tables.dead_letters() == {"activity-1": ("again", Effect.UNKNOWN)}
    for _ in range(2):
        write(tables, CloseDeadLetter(activity_id="activity-1", closed_at=now, resolution="requeued"))
        assert tables.dead_letters() == {}


def test_open_incident_is_not_raised_again(tables: Tables) -> None:
    """Fifty activities of one expired account are one alert."""
    tables.put(a_like())
    for incident in ("auth_error:account a", "auth_error:account a", "quarantined:activity-1"):
        write(tables, RaiseAlert(incident=incident, kind="auth_error", message="!", activity_id="activity-1"))
    assert tables.alerts() == ["auth_error:account a", "quarantined:activity-1"]


def test_awkward_texts_are_storable(tables: Tables) -> None:
    """What PostgreSQL cannot hold is dropped or replaced; nothing else is."""
    tables.put(a_comment())
    now = tables.now()
    attempt = an_attempt_at(now, text=AWKWARD, error={AWKWARD: [AWKWARD, {"deep": AWKWARD}]}, worker_id=AWKWARD)
    write(
        tables,
        SaveAttempt(attempt),
        executed(now, engagement_id=AWKWARD, comment_generated=AWKWARD),
        AddDeadLetter(a_letter(now, AWKWARD)),
        Block(a_control(BlockScope.POD, "pod-1", None, reason=AWKWARD)),
        RaiseAlert(incident=AWKWARD, kind="k", message=AWKWARD, activity_id="activity-1"),
    )
    shown = show(tables)
    assert shown.attempts[0].text in {AWKWARD, STORED}
    assert shown.controls[0].reason in {AWKWARD, STORED}
    assert tables.dead_letters()["activity-1"][0] in {AWKWARD, STORED}


def test_changes_of_one_activity_happen_one_after_the_other(tables: Tables) -> None:
    """Each sees what the one before has written: none is lost."""
    tables.put(a_like())

    def add_one(shown: Snapshot) -> Decision[None]:
        assert isinstance(shown.activity, Activity)
        return Decision(None, (MarkScheduled(activity_id="activity-1", next_retry_at=None, counts=True),))

    threads = [
        threading.Thread(target=lambda: [tables.store.change("activity-1", add_one) for _ in range(5)])
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    activity = show(tables).activity
    assert isinstance(activity, Activity)
    assert activity.failure_count == 10


def test_change_waits_for_the_one_before_it(tables: Tables) -> None:
    """It is shown nothing until the first has decided, and then what that has written."""
    tables.put(a_like())
    deciding, may_decide = threading.Event(), threading.Event()
    seen: list[int] = []

    def slowly(_: Snapshot) -> Decision[None]:
        deciding.set()
        assert may_decide.wait(10)
        return Decision(None, (MarkScheduled(activity_id="activity-1", next_retry_at=None, counts=True),))

    def note(shown: Snapshot) -> Decision[None]:
        assert isinstance(shown.activity, Activity)
        seen.append(shown.activity.failure_count)
        return Decision(None)

    first = threading.Thread(target=tables.store.change, args=("activity-1", slowly))
    first.start()
    assert deciding.wait(10)
    second = threading.Thread(target=tables.store.change, args=("activity-1", note))
    second.start()
    assert seen == []
    may_decide.set()
    first.join(10)
    second.join(10)
    assert seen == [1]


# -- what is found


def due_ids(tables: Tables, look_ahead: timedelta = timedelta(0), limit: int = 10) -> list[str]:
    """The ids of what is due, in order."""
    return [due.activity_id for due in tables.store.due(look_ahead=look_ahead, limit=limit)]


def test_due_are_the_earliest_first_and_no_more_than_asked_for(tables: Tables) -> None:
    """Ties do not matter; what is later than the look-ahead is left out."""
    now = tables.now()
    for name, delay in (("c", -1), ("a", -3), ("b", -2), ("soon", 30), ("later", 600)):
        tables.put(a_like(id=name, scheduled_for=now + delay * SECOND))
    assert due_ids(tables) == ["a", "b", "c"]
    assert due_ids(tables, limit=2) == ["a", "b"]
    assert due_ids(tables, look_ahead=MINUTE) == ["a", "b", "c", "soon"]
    assert tables.store.due(look_ahead=MINUTE, limit=0) == ()


def test_due_in_is_measured_on_the_stores_clock(tables: Tables) -> None:
    """Negative for what is late."""
    tables.put(a_like(id="late", scheduled_for=tables.now() - MINUTE))
    tables.put(a_like(id="soon", scheduled_for=tables.now() + MINUTE))
    late, soon = tables.store.due(look_ahead=2 * MINUTE, limit=10)
    assert -MINUTE - 10 * SECOND <= late.due_in <= -MINUTE
    assert MINUTE - 10 * SECOND <= soon.due_in <= MINUTE


def test_retry_is_due_at_its_own_time(tables: Tables) -> None:
    """The later of the two counts."""
    now = tables.now()
    tables.put(a_like(id="waits", scheduled_for=now - MINUTE, next_retry_at=now + MINUTE))
    tables.put(a_like(id="moved", scheduled_for=now + MINUTE, next_retry_at=now - MINUTE))
    tables.put(a_like(id="ready", scheduled_for=now - MINUTE, next_retry_at=now - SECOND))
    assert due_ids(tables) == ["ready"]


@pytest.mark.parametrize("status", ["executed", "failed", "cancelled"])
def test_any_other_status_is_not_due(tables: Tables, status: str) -> None:
    """It is somebody else's, or done."""
    tables.put(a_like(status=status))
    assert due_ids(tables) == []


@pytest.mark.parametrize(
    ("phase", "effect", "is_due"),
    [
        *((phase, Effect.UNKNOWN, False) for phase in (Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN)),
        *((Phase.SCHEDULED, effect, True) for effect in (Effect.NONE, Effect.REPEATABLE)),
        *((Phase.FAILED, effect, True) for effect in (Effect.UNKNOWN, Effect.APPLIED, Effect.NONE)),
        (Phase.EXECUTED, Effect.APPLIED, True),
    ],
)
def test_what_an_open_attempt_owns_is_not_due(tables: Tables, phase: Phase, effect: Effect, is_due: bool) -> None:
    """It must not starve the rest. What an attempt has left behind is due: its claim settles it, and sends nothing."""
    tables.put(a_like())
    write(tables, SaveAttempt(replace(closed(an_attempt_at(tables.now())), phase=phase, effect=effect)))
    assert due_ids(tables) == (["activity-1"] if is_due else [])


@pytest.mark.parametrize(
    ("scope", "scope_id", "is_due"),
    [
        (BlockScope.ALL, "", False),
        (BlockScope.POD, "pod-1", False),
        (BlockScope.ACCOUNT, "account-1", False),
        (BlockScope.POD, "pod-2", True),
        (BlockScope.ACCOUNT, "account-2", True),
    ],
)
def test_blocked_scope_is_not_due(tables: Tables, scope: BlockScope, scope_id: str, is_due: bool) -> None:
    """It must not starve the rest; others go on."""
    tables.put(a_like())
    write(tables, Block(a_control(scope, scope_id, tables.now() + MINUTE)))
    assert due_ids(tables) == (["activity-1"] if is_due else [])


@pytest.mark.parametrize(("status", "is_due"), [("expired", False), ("paused", False), ("ok", True), (None, True)])
def test_held_account_is_not_due(tables: Tables, status: str | None, is_due: bool) -> None:
    """Its work waits in the table."""
    tables.put(a_like(), an_account(status=status))
    assert due_ids(tables) == (["activity-1"] if is_due else [])


def test_account_that_has_used_up_its_cap_does_not_starve_the_rest(tables: Tables) -> None:
    """As with every other obstacle of the gate."""
    now = tables.now()
    tables.put(an_account(daily_limit=1), an_account(id="account-2", profile_id="profile-2"))
    tables.put(a_like(id="sent", status="executed"))
    write(tables, SaveAttempt(an_attempt_at(now, activity_id="sent", effect=Effect.APPLIED)), activity_id="sent")
    for number in range(3):
        tables.put(a_like(id=f"capped-{number}", scheduled_for=now - MINUTE))
    tables.put(a_like(id="free", profile_id="profile-2", scheduled_for=now - SECOND))
    holder = Holder(worker_id="worker-1", token="worker-1/9")
    decide = partial(decide_claim, holder=holder, policy=ClaimPolicy())
    # The first claim that the cap refuses puts a block in force for the rest of the account's work.
    assert isinstance(tables.store.change("capped-0", decide), Deferred)
    assert due_ids(tables, limit=3) == ["free"]


def test_row_for_which_nobody_can_act_is_due(tables: Tables) -> None:
    """It must be claimed to be buried, or it would wait for ever in silence."""
    tables.put(a_like(pod_id="pod-9", profile_id="profile-9"))
    assert due_ids(tables) == ["activity-1"]


def put_backlog(tables: Tables, count: int = 60, **changes: Any) -> None:
    """Of one account, due long before everybody else's work."""
    rows = [a_like(id=f"backlog-{n:03}", scheduled_for=tables.now() - 9 * MINUTE, **changes) for n in range(count)]
    tables.put(*rows)


def put_work_of_another(tables: Tables, count: int = 5) -> list[str]:
    """Due a moment ago; the ids."""
    tables.put(an_account(id="account-2", profile_id="profile-2"))
    ids = [f"other-{n}" for n in range(count)]
    tables.put(*(a_like(id=key, profile_id="profile-2", scheduled_for=tables.now() - SECOND) for key in ids))
    return ids


def test_backlog_of_one_account_hides_nobody_elses_work(tables: Tables) -> None:
    """Who has less than a fair share gets all of it; the one with the backlog gets what is left."""
    put_backlog(tables)
    others = put_work_of_another(tables)
    found = due_ids(tables, limit=20)
    assert set(others) < set(found)
    assert len(found) == 20
    assert found[-5:] == others  # in the order of time, as ever


@pytest.mark.parametrize(
    ("scope", "scope_id"), [(BlockScope.ACCOUNT, "account-1"), (BlockScope.POD, "pod-2")], ids=["account", "pod"]
)
def test_backlog_that_is_blocked_hides_nobody_elses_work(tables: Tables, scope: BlockScope, scope_id: str) -> None:
    """However much of it was due before."""
    tables.put(Pod(id="pod-2", voice_cartridge_id=None, linkedin_account_id="account-1"))
    put_backlog(tables, pod_id="pod-2")
    others = put_work_of_another(tables)
    write(tables, Block(a_control(scope, scope_id, tables.now() + MINUTE)))
    assert sorted(due_ids(tables, limit=20)) == others
    assert len(due_ids(tables, limit=3)) == 3


def test_backlog_of_a_pod_hides_no_other_pod_s_work_where_no_activity_names_a_profile(tables: Tables) -> None:
    """Then the pod's account acts."""
    tables.put(an_account(id="account-2", profile_id="profile-2", status="expired"), an_account(id="account-3"))
    tables.put(Pod(id="pod-2", voice_cartridge_id=None, linkedin_account_id="account-2"))
    tables.put(Pod(id="pod-3", voice_cartridge_id=None, linkedin_account_id="account-3"))
    put_backlog(tables, pod_id="pod-2", profile_id=None)
    for key, pod_id, profile_id in (("a", "pod-1", None), ("b", "pod-3", ""), ("c", "pod-3", None)):
        tables.put(a_like(id=key, pod_id=pod_id, profile_id=profile_id, scheduled_for=tables.now() - SECOND))
    assert sorted(due_ids(tables, limit=20)) == ["a", "b", "c"]


def test_rows_for_which_nobody_can_act_are_due_behind_a_backlog(tables: Tables) -> None:
    """They must be claimed to be buried; and they are not in the others' way."""
    put_backlog(tables)
    tables.put(a_like(id="x-1", profile_id="profile-9"), a_like(id="x-2", pod_id="pod-9", profile_id=None))
    others = put_work_of_another(tables)
    assert {"x-1", "x-2", *others} < set(due_ids(tables, limit=20))


def test_what_an_open_attempt_owns_hides_nothing_of_its_account(tables: Tables) -> None:
    """Outcomes that are unknown for hours stay at the head of the line."""
    put_backlog(tables, 25)
    for n in range(20):
        key = f"backlog-{n:03}"
        attempt = an_attempt_at(tables.now(), activity_id=key, phase=Phase.UNKNOWN, effect=Effect.UNKNOWN)
        write(tables, SaveAttempt(attempt), activity_id=key)
    assert due_ids(tables, limit=10) == [f"backlog-{n:03}" for n in range(20, 25)]


def test_share_that_some_do_not_need_goes_to_the_others(tables: Tables) -> None:
    """As many as were asked for are found, also if what is blocked comes first."""
    tables.put(an_account(id="account-3", profile_id="profile-3", status="paused"))
    tables.put(*(a_like(id=f"held-{n}", profile_id="profile-3", scheduled_for=tables.now() - DAY) for n in range(50)))
    for n in range(4, 24):
        tables.put(an_account(id=f"account-{n}", profile_id=f"profile-{n}"))
        tables.put(a_like(id=f"one-{n}", profile_id=f"profile-{n}"))
    put_backlog(tables)
    assert len(due_ids(tables, limit=50)) == 50


def test_due_says_who_will_act(tables: Tables) -> None:
    """The profile's account, else the pod's, else nobody."""
    tables.put(an_account(id="account-2", profile_id="profile-2"))
    tables.put(a_like(id="a", profile_id="profile-2"), a_like(id="b", profile_id=None), a_like(id="c", profile_id="?"))
    for limit in (3, 10):
        found = {due.activity_id: due.account_id for due in tables.store.due(look_ahead=timedelta(0), limit=limit)}
        assert found == {"a": "account-2", "b": "account-1", "c": None}


def orphans(tables: Tables, limit: int = 10) -> dict[str, Orphan]:
    """Attempts of workers that were silent for six seconds, or that are five seconds past their deadline."""
    found = tables.store.orphans(silent_for=6 * SECOND, margin=5 * SECOND, limit=limit)
    return {orphan.activity_id: orphan for orphan in found}


def with_attempt(tables: Tables, name: str, phase: Phase, **changes: Any) -> None:
    """An activity with one attempt."""
    tables.put(a_like(id=name))
    attempt = an_attempt_at(tables.now(), phase, activity_id=name, token=name, look_at=tables.now())
    write(tables, SaveAttempt(replace(attempt, **changes)), activity_id=name)


def test_orphans_are_what_silent_workers_hold(tables: Tables) -> None:
    """Of workers that nobody knows, too; not what is unknown or closed already."""
    tables.beat("alive", timedelta(0))
    tables.beat("dead", 10 * SECOND)
    for worker in ("alive", "dead", "never-seen"):
        for phase in (Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN, Phase.SCHEDULED, Phase.EXECUTED, Phase.FAILED):
            with_attempt(tables, f"{worker}-{phase.value}", phase, worker_id=worker)
    found = orphans(tables, limit=20)
    assert set(found) == {"dead-claimed", "dead-sending", "never-seen-claimed", "never-seen-sending"}
    assert found["dead-claimed"] == Orphan(activity_id="dead-claimed", number=1, reason="its worker dead is silent")


def test_orphans_are_what_is_past_its_deadline_whoever_holds_it(tables: Tables) -> None:
    """A living worker may hang; a margin is left to it."""
    tables.beat("alive", timedelta(0))
    now = tables.now()
    with_attempt(tables, "hangs", Phase.SENDING, worker_id="alive", deadline_at=now - MINUTE)
    with_attempt(tables, "late", Phase.SENDING, worker_id="alive", deadline_at=now - SECOND)
    reason = "worker alive did not finish it in time"
    assert orphans(tables) == {"hangs": Orphan(activity_id="hangs", number=1, reason=reason, crashed=False)}


def test_orphans_are_no_more_than_asked_for(tables: Tables) -> None:
    """The rest is found by the next round."""
    for number in range(3):
        with_attempt(tables, f"orphan-{number}", Phase.CLAIMED)
    assert len(orphans(tables, limit=2)) == 2


def test_unknowns_are_those_whose_look_has_come(tables: Tables) -> None:
    """The longest waiting first, and no more than asked for."""
    now = tables.now()
    for name, phase, delay in (
        ("second", Phase.UNKNOWN, -1),
        ("first", Phase.UNKNOWN, -2),
        ("later", Phase.UNKNOWN, 60),
        ("sending", Phase.SENDING, -3),
        ("done", Phase.EXECUTED, -3),
    ):
        with_attempt(tables, name, phase, look_at=now + delay * SECOND)
    assert tables.store.unknowns(limit=10) == ("first", "second")
    assert tables.store.unknowns(limit=1) == ("first",)


# -- what other services read: PostgreSQL only, because only there are columns


@pytest.fixture
def public(postgres: PostgresTables) -> PostgresTables:
    """PostgreSQL's tables with a due comment in them."""
    postgres.put(CARTRIDGE, POD, an_account(), a_comment())
    return postgres


NOW = datetime(2024, 3, 15, 14, 30, 0, 250_000, tzinfo=timezone.utc)


def test_executed_writes_the_contracts_columns(public: PostgresTables) -> None:
    """The JSON of contract.md §4, with ISO timestamps."""
    created_at = NOW - SECOND
    write(public, executed(NOW, created_at=created_at, comment_generated="Hello!"))
    row = public.activity()
    assert (row["status"], row["executed_at"], row["execution_id"]) == ("executed", NOW, "c-1")
    assert (row["comment_generated"], row["last_error"], row["next_retry_at"]) == ("Hello!", None, None)
    assert row["execution_result"] == {
        "success": True,
        "timestamp": "2024-03-15T14:30:00.250000+00:00",
        "api_response": {
            "post_id": "post-1",
            "created_at": "2024-03-15T14:29:59.250000+00:00",
            "engagement_id": "c-1",
        },
        "provenance": "response",
    }


@pytest.mark.parametrize("provenance", Provenance)
def test_executed_without_an_id_writes_nulls(public: PostgresTables, provenance: Provenance) -> None:
    """A like has none; how we know is always there."""
    write(public, executed(NOW, engagement_id=None, provenance=provenance))
    row = public.activity()
    assert row["execution_id"] is None
    assert row["execution_result"]["api_response"] == {"post_id": "post-1", "created_at": None, "engagement_id": None}
    assert row["execution_result"]["provenance"] == provenance.value


def test_retry_writes_the_contracts_columns(public: PostgresTables) -> None:
    """Still scheduled, with a time and a reason; executed_at belongs to the end."""
    write(
        public,
        MarkScheduled(
            activity_id="activity-1", next_retry_at=NOW + SECOND, error=a_note(NOW, will_retry=True), counts=True
        ),
    )
    row = public.activity()
    assert (row["status"], row["failure_count"], row["executed_at"]) == ("scheduled", 1, None)
    assert row["next_retry_at"] == NOW + SECOND
    assert row["last_error"] == {
        "error_type": "rate_limit",
        "message": "Too many requests.",
        "timestamp": "2024-03-15T14:30:00.250000+00:00",
        "will_retry": True,
    }
    assert (row["execution_result"], row["execution_id"], row["comment_generated"]) == (None, None, None)


def test_release_leaves_the_last_error_as_it_was(public: PostgresTables) -> None:
    """Nothing went wrong this time."""
    write(public, MarkScheduled(activity_id="activity-1", next_retry_at=NOW, error=a_note(NOW, will_retry=True)))
    write(public, MarkScheduled(activity_id="activity-1", next_retry_at=None))
    row = public.activity()
    assert row["last_error"]["message"] == "Too many requests."
    assert row["next_retry_at"] is None


def test_final_failure_writes_the_contracts_columns(public: PostgresTables) -> None:
    """Failed, when, why, and that nobody will try again; scheduling it again takes executed_at back."""
    write(
        public,
        MarkFailed(activity_id="activity-1", executed_at=NOW, error=a_note(NOW, will_retry=False), counts=True),
    )
    row = public.activity()
    assert (row["status"], row["executed_at"], row["next_retry_at"]) == ("failed", NOW, None)
    assert (row["failure_count"], row["last_error"]["will_retry"]) == (1, False)
    write(public, MarkScheduled(activity_id="activity-1", next_retry_at=NOW))
    row = public.activity()
    assert (row["status"], row["executed_at"], row["failure_count"]) == ("scheduled", None, 1)


def test_only_our_columns_are_written(public: PostgresTables) -> None:
    """What E-03 and E-04 wrote stays as they wrote it."""
    theirs = ("id", "pod_id", "engagement_type", "post_id", "profile_id", "comment_text", "scheduled_for")
    before = public.activity()
    write(
        public,
        MarkScheduled(activity_id="activity-1", next_retry_at=NOW, error=a_note(NOW, will_retry=True), counts=True),
        MarkFailed(activity_id="activity-1", executed_at=NOW, error=a_note(NOW, will_retry=False), counts=True),
        executed(NOW, comment_generated=AWKWARD),
    )
    after = public.activity()
    assert {name: after[name] for name in theirs} == {name: before[name] for name in theirs}
    assert after["comment_generated"] == STORED


def test_dead_letter_keeps_its_history(public: PostgresTables) -> None:
    """A closed letter stays on file with what became of it, and with whom it concerned."""
    write(public, AddDeadLetter(a_letter(NOW)))
    write(public, CloseDeadLetter(activity_id="activity-1", closed_at=NOW, resolution="requeued"))
    write(public, AddDeadLetter(a_letter(NOW, "again")))
    rows = public.sql("SELECT * FROM engagement_dead_letters ORDER BY id")
    assert [(row["message"], row["resolution"]) for row in rows] == [("gave up", "requeued"), ("again", None)]
    assert (rows[0]["pod_id"], rows[0]["account_id"], rows[0]["closed_at"]) == ("pod-1", "account-1", NOW)


@pytest.mark.direct
@pytest.mark.parametrize("setting", ["off", "local"])
def test_commits_are_durable_whatever_the_database_is_set_to(public: PostgresTables, setting: str) -> None:
    """The intent to send must survive a crash of the server."""
    pool = PostgresPool(make_dsn(public.url, options=f"-c synchronous_commit={setting}"), size=1)
    settings: list[str] = []

    def look(_: Snapshot) -> Decision[None]:
        (connection,) = holders
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            settings.append(cursor.fetchone()[0])
        return Decision(None)

    with pool.connection() as connection:
        holders = [connection]
    PostgresActivityStore(pool).change("activity-1", look)
    pool.close()
    assert settings == ["on"]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("engagement_type", "'share'", "engagement_type is 'share'; it must be 'like' or 'comment'"),
        ("scheduled_for", "'infinity'", "scheduled_for is missing or not a finite time"),
        ("pod_id", "''", "pod_id is missing"),
    ],
)
def test_row_that_describes_no_activity_is_malformed(
    public: PostgresTables, column: str, value: str, problem: str
) -> None:
    """It is shown as a value that says why, and it can be marked as failed."""
    public.sql(f"UPDATE pod_activities SET {column} = {value}")
    assert show(public).activity == Malformed(id="activity-1", status="scheduled", problems=(problem,))
    write(
        public,
        MarkFailed(activity_id="activity-1", executed_at=NOW, error=a_note(NOW, will_retry=False), counts=False),
    )
    assert public.activity()["status"] == "failed"


@pytest.mark.parametrize("when", ["4000-01-01 BC", "20000-01-01"])
def test_time_that_python_cannot_hold_is_malformed(public: PostgresTables, when: str) -> None:
    """A typing error in a year is not a reason to raise."""
    public.sql("UPDATE pod_activities SET scheduled_for = %(when)s", {"when": when})
    assert isinstance(show(public).activity, Malformed)


@pytest.mark.parametrize(
    ("when", "is_shown"), [("0044-03-15 BC", False), ("-infinity", False), ("infinity", True), ("20000-01-01", True)]
)
def test_retry_time_that_python_cannot_hold_is_always_or_never(
    public: PostgresTables, when: str, is_shown: bool
) -> None:
    """A hand's typing error in our column: what is past asks for no wait, what is too far is waited for."""
    public.sql("UPDATE pod_activities SET next_retry_at = %(when)s", {"when": when})
    activity = show(public).activity
    assert isinstance(activity, Activity)
    assert (activity.next_retry_at is not None) == is_shown
    assert activity.next_retry_at is None or activity.next_retry_at > NOW + timedelta(days=365_000)


def test_endless_past_does_not_end_the_sweep(public: PostgresTables) -> None:
    """One odd row must not keep all the others from their time."""
    public.put(a_like(id="fine"))
    public.sql("UPDATE pod_activities SET scheduled_for = '-infinity' WHERE id = 'activity-1'")
    assert "fine" in due_ids(public)


@pytest.mark.direct
def test_times_are_utc_whatever_the_database_is_set_to(public: PostgresTables) -> None:
    """Aware UTC only."""
    pool = PostgresPool(make_dsn(public.url, options="-c timezone=Asia/Kolkata"), size=1)
    now = PostgresActivityStore(pool).change("activity-1", lambda shown: Decision(shown.now))
    pool.close()
    assert now.utcoffset() == timedelta(0)


def test_attempt_of_a_deleted_activity_is_no_orphan_for_ever(public: PostgresTables) -> None:
    """Either it is not found, or it is shown so that it can be closed."""
    write(public, SaveAttempt(an_attempt_at(public.now())))
    public.sql("DELETE FROM pod_activities")
    assert orphans(public) == {} or show(public).attempts != ()


def test_unknown_attempt_of_a_deleted_activity_is_not_looked_for_for_ever(public: PostgresTables) -> None:
    """Nothing can be learned of it, or written about it."""
    now = public.now()
    write(public, SaveAttempt(an_attempt_at(now, Phase.UNKNOWN, look_at=now)))
    public.sql("DELETE FROM pod_activities")
    assert public.store.unknowns(limit=10) == () or show(public).attempts != ()


def test_a_write_that_changes_no_row_is_refused_with_all_the_others(tables: Tables) -> None:
    """There is no such row, so nobody may believe that it says what was written."""
    now = tables.now()
    for of_row in (executed(now), MarkScheduled(activity_id="activity-1", next_retry_at=now)):
        with pytest.raises(StoreRefused, match="changed no row"):
            write(tables, SaveAttempt(an_attempt_at(now)), of_row)
    assert show(tables).attempts == ()


def test_an_attempt_is_overwritten_by_its_own_token_alone(tables: Tables) -> None:
    """Two that believe to have made the same attempt cannot both be right."""
    now = tables.now()
    write(tables, SaveAttempt(an_attempt_at(now)))
    with pytest.raises(StoreRefused, match="changed no row"):
        write(tables, SaveAttempt(replace(an_attempt_at(now), token="another", phase=Phase.UNKNOWN)))
    assert [attempt.phase for attempt in show(tables).attempts] == [Phase.SENDING]
    write(tables, SaveAttempt(replace(an_attempt_at(now), phase=Phase.UNKNOWN)))
    assert [attempt.phase for attempt in show(tables).attempts] == [Phase.UNKNOWN]


def test_words_of_a_newer_release_are_shown_and_written_back_as_they_are(tables: Tables) -> None:
    """What they mean is not ours to say, and must not be lost."""
    tables.put(a_like())
    words = replace(an_attempt_at(tables.now()), event=Event("handed_over"))
    write(tables, SaveAttempt(words))
    (shown,) = show(tables).attempts
    assert (shown.event.value, shown.is_foreign) == ("handed_over", True)
    write(tables, SaveAttempt(replace(shown, look_at=tables.now())))
    assert show(tables).attempts[0].event.value == "handed_over"


def test_what_a_newer_release_left_is_listed_a_day_after_its_deadline(tables: Tables) -> None:
    """Until then its own workers see to it; however much of it there is, it keeps nothing of ours from being listed."""
    now, later = tables.now(), {"event": Event("handed_over")}
    for name, deadline_at in (("fresh", now - MINUTE), ("old", now - FOREIGN_FOR - MINUTE)):
        with_attempt(tables, f"{name}-sending", Phase.SENDING, deadline_at=deadline_at, **later)
        with_attempt(tables, f"{name}-unknown", Phase.UNKNOWN, deadline_at=deadline_at, look_at=now - MINUTE, **later)
    assert set(orphans(tables)) == {"old-sending"}
    assert tables.store.unknowns(limit=10) == ("old-unknown",)


def test_submitted_change_is_made_when_it_is_waited_for_at_the_latest(tables: Tables) -> None:
    """Its result is told to whoever waits; so is what its decision raises."""
    tables.put(a_like())

    def defect(_: Snapshot) -> Decision[None]:
        raise ZeroDivisionError

    wait, wait_for_defect = tables.store.submit("activity-1", as_it_is), tables.store.submit("activity-1", defect)
    assert wait().activity is not None
    with pytest.raises(ZeroDivisionError):
        wait_for_defect()
    assert tables.store.submit("no-such-activity", as_it_is)().activity is None
