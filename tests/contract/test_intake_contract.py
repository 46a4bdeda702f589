"""What every intake promises: all or nothing, and a refusal that names what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.intake import PostgresIntake
from engagement_core.model.activity import Activity, EngagementType
from engagement_core.model.new_activity import NewActivity
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.intake import Intake, IntakeRefused
from fakes.activities import InMemoryActivityStore
from fakes.intake import InMemoryIntake
from support.commands import execute

AT = datetime(2030, 3, 15, 14, 30, 0, 123456, tzinfo=timezone.utc)
LIKE = NewActivity(
    id="a-1",
    pod_id="pod-1",
    engagement_type=EngagementType.LIKE,
    post_id="urn:li:activity:1",
    profile_id=None,
    comment_text=None,
    scheduled_for=AT,
)
COMMENT = replace(LIKE, id="a-2", engagement_type=EngagementType.COMMENT, comment_text="Great post!", profile_id="p-1")


@dataclass(frozen=True, kw_only=True)
class House:
    """An intake, and the rows that came in through it: every column, by id."""

    intake: Intake
    rows: Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def postgres_house(database_url: str) -> Iterator[House]:
    """The real one."""
    columns = "id, pod_id, engagement_type, post_id, profile_id, comment_text, scheduled_for, status"
    pool = PostgresPool(database_url, size=1)
    yield House(
        intake=PostgresIntake(pool),
        rows=lambda: execute(database_url, f"SELECT {columns} FROM pod_activities ORDER BY id"),
    )
    pool.close()


@pytest.fixture
def in_memory_house() -> House:
    """The fake."""
    store = InMemoryActivityStore(now=lambda: AT)

    def row(activity: object) -> tuple[Any, ...]:
        assert isinstance(activity, Activity)
        return (
            activity.id,
            activity.pod_id,
            activity.engagement_type.value,
            activity.post_id,
            activity.profile_id,
            activity.comment_text,
            activity.scheduled_for,
            activity.status,
        )

    return House(
        intake=InMemoryIntake(store), rows=lambda: [row(store.activities[key]) for key in sorted(store.activities)]
    )


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.servers), "in_memory"])
def house(request: pytest.FixtureRequest) -> House:
    """Each of them in turn."""
    found: House = request.getfixturevalue(f"{request.param}_house")
    return found


def test_what_is_added_is_scheduled(house: House) -> None:
    """Every value as it was given, to the microsecond."""
    assert house.intake.add([LIKE, COMMENT]) == 2
    assert house.rows() == [
        ("a-1", "pod-1", "like", "urn:li:activity:1", None, None, AT, "scheduled"),
        ("a-2", "pod-1", "comment", "urn:li:activity:1", "p-1", "Great post!", AT, "scheduled"),
    ]


@pytest.mark.parametrize(
    "text", ["tab\there", "line\nand\r\nline", "back\\slash \\N \\.", "\\.", "{\"'}", "ünïcode-名前-🎉", ","]
)
def test_every_text_comes_out_as_it_went_in(house: House, text: str) -> None:
    """Nothing in it is taken for the format that carries it."""
    house.intake.add([replace(COMMENT, comment_text=text, profile_id=text, pod_id=text)])
    assert house.rows()[0][1:6] == (text, "comment", "urn:li:activity:1", text, text)


def test_nothing_to_add_is_nothing_added(house: House) -> None:
    """An empty file is no error."""
    assert house.intake.add([]) == 0
    assert house.rows() == []


def test_an_id_that_is_taken_refuses_them_all(house: House) -> None:
    """The message and the exception name the id and which of them it was."""
    house.intake.add([LIKE])
    with pytest.raises(IntakeRefused, match="a-1 is in pod_activities already") as caught:
        house.intake.add([COMMENT, LIKE])
    assert (caught.value.activity_id, caught.value.position, caught.value.column) == ("a-1", 2, "id")
    assert [row[0] for row in house.rows()] == ["a-1"]


def test_an_id_that_comes_twice_refuses_them_all(house: House) -> None:
    """Even an awkward one."""
    odd = replace(LIKE, id="a)=(b \\ c")
    with pytest.raises(IntakeRefused, match="comes twice") as caught:
        house.intake.add([LIKE, odd, odd])
    assert (caught.value.activity_id, caught.value.position) == ("a)=(b \\ c", 3)
    assert house.rows() == []


def test_what_the_source_raises_comes_out_and_nothing_is_added(house: House) -> None:
    """A bad line at the end of a long file."""

    def source() -> Iterator[NewActivity]:
        for number in range(2_000):
            yield replace(COMMENT, id=f"a-{number}")
        raise LookupError("line 2001")

    with pytest.raises(LookupError, match="line 2001"):
        house.intake.add(source())
    assert house.rows() == []
    assert house.intake.add([LIKE]) == 1


def test_a_wrong_type_names_the_row_and_the_column(database_url: str) -> None:
    """Where E-03 made its ids uuid, another id is refused, and a good one works."""
    execute(database_url, "ALTER TABLE pod_activities ALTER COLUMN id TYPE uuid USING id::uuid")
    pool = PostgresPool(database_url, size=1)
    good = replace(LIKE, id="3f2b8c1e-6f0a-4f7e-9a54-6a0d5f0c9a11")
    with pytest.raises(IntakeRefused, match="invalid input syntax for type uuid") as caught:
        PostgresIntake(pool).add([good, LIKE])
    assert (caught.value.position, caught.value.column) == (2, "id")
    assert PostgresIntake(pool).add([good]) == 1
    with pytest.raises(IntakeRefused, match="is in pod_activities already") as caught:
        PostgresIntake(pool).add([good])
    assert caught.value.activity_id == good.id
    pool.close()


def test_a_rule_of_e03s_table_is_told_without_the_comment(database_url: str) -> None:
    """Its foreign keys and checks hold for us, too; a row that breaks one is not shown."""
    execute(database_url, "ALTER TABLE pod_activities ADD FOREIGN KEY (pod_id) REFERENCES pods (id)")
    pool = PostgresPool(database_url, size=1)
    with pytest.raises(IntakeRefused, match=r'Key \(pod_id\)=\(pod-1\) is not present in table "pods"'):
        PostgresIntake(pool).add([LIKE])
    execute(database_url, "INSERT INTO pods (id) VALUES ('pod-1')")
    execute(database_url, "ALTER TABLE pod_activities ADD CHECK (comment_text <> 'Great post!')")
    with pytest.raises(IntakeRefused, match="violates check constraint") as caught:
        PostgresIntake(pool).add([LIKE, COMMENT])
    assert "Great post!" not in str(caught.value)
    assert caught.value.position == 2
    pool.close()


def test_a_database_that_is_lost_is_unavailable(database_url: str) -> None:
    """In the middle of the rows; nothing is added."""
    pool = PostgresPool(database_url, size=1)

    def source() -> Iterator[NewActivity]:
        yield LIKE
        execute(
            database_url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'pod-engagement'",
        )
        for number in range(2, 10_000):
            yield replace(LIKE, id=f"a-{number}")

    with pytest.raises(StoreUnavailable):
        PostgresIntake(pool).add(source())
    assert execute(database_url, "SELECT count(*) FROM pod_activities") == [(0,)]
    pool.close()
