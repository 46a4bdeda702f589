"""An id must name one row. If it may not, `migrate` refuses the table and `doctor` reports it."""

from __future__ import annotations

import json
from contextlib import suppress

import psycopg2
import pytest

from adapters.postgres.inspection.catalog import SchemaProblem
from adapters.postgres.schema.migrate import cautions, migrate
from support.commands import Commands, execute

_COLUMNS = "pod_id text, engagement_type text, post_id text, profile_id text, comment_text text, status text"
_ROW = "INSERT INTO pod_activities (id, scheduled_for) VALUES"

# The ways in which `id` may name several rows, with what `migrate` says.
_AMBIGUOUS = {
    "no index": (
        f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS})",
        r"pod_activities\.id is not unique by itself.*ALTER TABLE pod_activities ADD PRIMARY KEY \(id\)",
    ),
    "partitioned by time": (
        (
            f"CREATE TABLE pod_activities (id text, scheduled_for timestamptz, {_COLUMNS},"
            " PRIMARY KEY (id, scheduled_for)) PARTITION BY RANGE (scheduled_for);"
            "CREATE TABLE before PARTITION OF pod_activities FOR VALUES FROM (MINVALUE) TO ('2030-01-01');"
            "CREATE TABLE since PARTITION OF pod_activities FOR VALUES FROM ('2030-01-01') TO (MAXVALUE);"
            f"{_ROW} ('a', '2029-12-31'), ('a', '2030-01-01'), ('b', '2030-01-01')"
        ),
        r"only if the table is partitioned by id alone.*in pod_activities, 1 id occurs in several rows: a \(2 rows\)",
    ),
    "unique with another column": (
        f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS}, UNIQUE (id, pod_id))",
        "is not unique by itself",
    ),
    "unique for some rows": (
        (
            f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS});"
            "CREATE UNIQUE INDEX of_some ON pod_activities (id) WHERE status = 'scheduled'"
        ),
        "is not unique by itself",
    ),
    "unique in another spelling": (
        (
            f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS});"
            "CREATE UNIQUE INDEX spelt ON pod_activities (lower(id))"
        ),
        "is not unique by itself",
    ),
    "tables that inherit": (
        (
            f"CREATE TABLE pod_activities (id text PRIMARY KEY, scheduled_for timestamptz, {_COLUMNS});"
            "CREATE TABLE archive () INHERITS (pod_activities);"
            f"{_ROW} ('a', now()); INSERT INTO archive (id) VALUES ('a')"
        ),
        r"tables inherit from it.*a \(2 rows\)",
    ),
    "rows without an id": (
        (
            f"CREATE TABLE pod_activities (id text UNIQUE, scheduled_for timestamptz, {_COLUMNS});"
            f"{_ROW} (NULL, now()), (NULL, now())"
        ),
        "2 rows have no id in pod_activities",
    ),
}


@pytest.mark.parametrize(("tables", "told"), _AMBIGUOUS.values(), ids=_AMBIGUOUS.keys())
def test_migrate_refuses_ids_that_may_name_several_rows(empty_database_url: str, tables: str, told: str) -> None:
    """The message names table, column and cure, and nothing is created."""
    execute(empty_database_url, tables)
    with pytest.raises(SchemaProblem, match=rf"{told}.*Nothing was changed"):
        migrate(empty_database_url)
    assert execute(empty_database_url, "SELECT to_regclass('engagement_attempts')") == [(None,)]


def test_an_index_that_could_not_be_built_proves_nothing(empty_database_url: str) -> None:
    """PostgreSQL leaves an invalid index behind if it meets the ids that the index should forbid."""
    execute(
        empty_database_url,
        f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS});"
        + "".join(f"{_ROW} ('{name}', now()), ('{name}', now());" for name in "abcd"),
    )
    connection = psycopg2.connect(empty_database_url)
    connection.autocommit = True
    with suppress(psycopg2.errors.UniqueViolation):
        connection.cursor().execute("CREATE UNIQUE INDEX CONCURRENTLY left_behind ON pod_activities (id)")
    connection.close()
    told = r"in pod_activities, 4 ids occur in several rows: a \(2 rows\), b \(2 rows\), c \(2 rows\) and others"
    with pytest.raises(SchemaProblem, match=told):
        migrate(empty_database_url)


@pytest.mark.parametrize(
    "tables",
    [
        f"CREATE TABLE pod_activities (id text NOT NULL UNIQUE, scheduled_for timestamptz, {_COLUMNS})",
        (
            f"CREATE TABLE pod_activities (id text NOT NULL, scheduled_for timestamptz, {_COLUMNS});"
            "CREATE UNIQUE INDEX own ON pod_activities (id) INCLUDE (status)"
        ),
        (
            f"CREATE TABLE pod_activities (id text PRIMARY KEY, scheduled_for timestamptz, {_COLUMNS})"
            " PARTITION BY HASH (id);"
            "CREATE TABLE only_one PARTITION OF pod_activities FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        ),
    ],
    ids=["constraint", "index", "partitioned by id"],
)
def test_whatever_makes_the_id_unique_will_do(empty_database_url: str, tables: str) -> None:
    """A primary key is not required, and there is no warning."""
    execute(empty_database_url, tables)
    migrate(empty_database_url)
    assert [told for told in cautions(empty_database_url) if ".id" in told] == []
    assert _ids(empty_database_url)["level"] == "ok"


def test_a_column_that_takes_null_is_warned_of(empty_database_url: str) -> None:
    """Everything works as long as no row has a NULL id."""
    execute(empty_database_url, f"CREATE TABLE pod_activities (id text UNIQUE, scheduled_for timestamptz, {_COLUMNS})")
    result = Commands(environ={"DATABASE_URL": empty_database_url})("migrate")
    assert result.exit_code == 0
    assert "Warning: pod_activities.id allows NULL" in result.stderr
    assert _ids(empty_database_url)["level"] == "warning"


def test_of_a_view_it_is_said_that_nobody_knows(empty_database_url: str) -> None:
    """A view may join tables, or name the rows of two tables: a warning."""
    migrate(empty_database_url)
    execute(
        empty_database_url,
        "ALTER TABLE pod_activities RENAME TO theirs; CREATE VIEW pod_activities AS SELECT * FROM theirs",
    )
    assert any("pod_activities is not a table" in told for told in cautions(empty_database_url))
    found = _ids(empty_database_url)
    assert (found["level"], "pod_activities is not a table" in found["says"]) == ("warning", True)


def test_the_doctor_fails_where_an_id_names_several_activities(database_url: str) -> None:
    """Also if the tables were changed after `migrate`. The message names the ids and the cure."""
    execute(
        database_url,
        "ALTER TABLE pod_activities DROP CONSTRAINT pod_activities_pkey;"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'twice', 'p', 'like', 'x', now() FROM generate_series(1, 2)",
    )
    found = _ids(database_url)
    assert (found["level"], "twice (2 rows)" in found["says"]) == ("failed", True)
    assert "ALTER TABLE pod_activities ADD PRIMARY KEY (id)" in found["says"]
    assert "existing-schema.md" in found["cure"]


@pytest.mark.parametrize("table", ["pods", "voice_cartridges", "linkedin_accounts"])
def test_ids_of_those_who_act_are_warned_of_and_fail_once_they_are_doubled(database_url: str, table: str) -> None:
    """Two accounts with one id may be two people. Then it is uncertain which of them acts."""
    execute(database_url, f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    may_be = _ids(database_url)
    assert (may_be["level"], f"{table}.id is not unique by itself" in may_be["says"]) == ("warning", True)
    execute(database_url, f"INSERT INTO {table} (id) VALUES ('twice'), ('twice')")
    is_so = _ids(database_url)
    assert (is_so["level"], f"in {table}, 1 id occurs in several rows: twice (2 rows)" in is_so["says"]) == (
        "failed",
        True,
    )
    assert Commands(environ={"DATABASE_URL": database_url})("migrate").exit_code == 0


def test_a_profile_of_two_accounts_is_warned_of_with_the_one_that_acts(database_url: str) -> None:
    """The executor takes the first account by id. Empty profiles name nobody."""
    execute(
        database_url,
        "INSERT INTO linkedin_accounts (id, profile_id)"
        " VALUES ('b', 'ana'), ('a', 'ana'), ('c', 'zoe'), ('d', ''), ('e', ''), ('f', NULL), ('g', NULL)",
    )
    found = _ids(database_url)
    assert found["level"] == "warning"
    assert "have the profile ana: the account a acts, b never; keep this profile in one row only" in found["says"]
    assert "zoe" not in found["says"]


def _ids(database_url: str) -> dict[str, str]:
    told = json.loads(Commands(environ={"DATABASE_URL": database_url})("doctor", "--json").stdout)
    found: dict[str, dict[str, str]] = {each["name"]: each for each in told["findings"]}
    return found["ids"]
