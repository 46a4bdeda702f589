"""The command line as a whole: its messages when it is used wrongly, or when its servers are away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.commands import Commands, execute, started

NOBODY = "postgresql://user:geheim@127.0.0.1:1/postgres"
ENGAGEMENT = Commands()

NEED_A_DATABASE = [
    ("migrate",),
    ("status",),
    ("status", "--json"),
    ("schedule", "--pod", "p", "--type", "like", "--post", "x"),
    ("dead-letters", "list"),
    ("dead-letters", "show", "a-1"),
    ("dead-letters", "requeue", "a-1"),
    ("dead-letters", "resolve", "a-1", "--as", "executed"),
    ("pause", "--all"),
    ("resume", "--all"),
]


def test_the_version_is_that_of_the_package() -> None:
    """It prints one line."""
    result = ENGAGEMENT("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "engagement,")


def test_every_command_explains_itself_with_an_example() -> None:
    """`--help` of the group names each command, and each command shows an example."""
    commands = {
        name
        for name in ("migrate", "schedule", "status", "doctor", "dead-letters", "pause", "resume", "sandbox")
        if f"  {name} " in ENGAGEMENT("--help").stdout
    }
    assert len(commands) == 8
    for name in commands:
        told = ENGAGEMENT(name, "--help")
        assert told.exit_code == 0
        assert f"engagement {name}" in told.stdout.partition("Example:")[2]
    for name in ("list", "show", "requeue", "resolve"):
        assert f"engagement dead-letters {name}" in ENGAGEMENT("dead-letters", name, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stauts",), "No such command 'stauts'"),
        (("status", "--jsno"), "No such option '--jsno'"),
        (("schedule", "extra"), "unexpected extra argument"),
        (("dead-letters", "resolve", "a-1"), "Missing option '--as'"),
        (("status", "--data", "x"), "it needs --embedded"),
    ],
)
def test_a_typing_error_is_one_line_and_two(arguments: tuple[str, ...], told: str) -> None:
    """A usage error names what was not understood."""
    assert told in ENGAGEMENT.refused(*arguments)


@pytest.mark.parametrize("arguments", NEED_A_DATABASE, ids=" ".join)
def test_without_a_database_url_nothing_begins(arguments: tuple[str, ...]) -> None:
    """The message names the variable."""
    assert ENGAGEMENT.refused(*arguments).startswith("DATABASE_URL is not set: ")


@pytest.mark.parametrize("arguments", NEED_A_DATABASE, ids=" ".join)
def test_a_dead_database_is_one_line_and_one(arguments: tuple[str, ...]) -> None:
    """The message does not contain the password."""
    told = Commands(environ={"DATABASE_URL": NOBODY}).refused(*arguments, code=1)
    assert told.startswith("PostgreSQL: ")
    assert "geheim" not in told


@pytest.mark.parametrize(
    "url", ["mysql://u:geheim@h/d", "postgresql+psycopg2://u:geheim@h/d", "geheim", "http://geheim"]
)
def test_what_is_no_database_url_is_a_matter_of_configuration(url: str) -> None:
    """The message does not repeat the URL: it may hold a password."""
    told = Commands(environ={"DATABASE_URL": url}).refused("status")
    assert told.startswith("DATABASE_URL: it is not a PostgreSQL URL: postgresql://user:password@host:5432/database")
    assert "geheim" not in told


def test_what_is_no_redis_url_is_a_matter_of_configuration() -> None:
    """The same for the queue's URL."""
    told = Commands(environ={"DATABASE_URL": NOBODY, "REDIS_URL": "http://:geheim@h"}).refused("status")
    assert told.startswith("REDIS_URL is not a Redis URL")
    assert "geheim" not in told


def test_a_malformed_variable_is_named() -> None:
    """It is refused before anything starts."""
    told = Commands(environ={"DATABASE_URL": NOBODY, "POD_ENGAGEMENT_JOB_TIMEOUT": "soon"}).refused("status")
    assert told.startswith("POD_ENGAGEMENT_JOB_TIMEOUT")


@pytest.mark.parametrize("arguments", NEED_A_DATABASE[1:], ids=" ".join)
def test_missing_tables_are_named_with_their_cure(arguments: tuple[str, ...], empty_database_url: str) -> None:
    """Every command except `migrate` needs the schema."""
    told = Commands(environ={"DATABASE_URL": empty_database_url}).refused(*arguments)
    assert "table pod_activities is missing" in told
    assert told.endswith("Run `engagement migrate`.")


def test_migrate_says_what_was_needed_and_then_that_nothing_is(empty_database_url: str) -> None:
    """`--sql` prints the script that does the same."""
    engagement = Commands(environ={"DATABASE_URL": empty_database_url})
    first = engagement("migrate")
    assert first.exit_code == 0
    assert "CREATE TABLE IF NOT EXISTS pod_activities\n" in first.stdout
    assert engagement("migrate").stdout == "Nothing to do: the schema is complete.\n"
    script = ENGAGEMENT("migrate", "--sql").stdout
    execute(empty_database_url, script)
    assert "CREATE TABLE IF NOT EXISTS engagement_attempts" in script


def test_migrate_refuses_a_table_that_cannot_work(empty_database_url: str) -> None:
    """The command changes nothing."""
    execute(empty_database_url, "CREATE TABLE pod_activities (id text PRIMARY KEY, scheduled_for timestamp)")
    told = Commands(environ={"DATABASE_URL": empty_database_url}).refused("migrate")
    assert told.endswith("Nothing was changed.")
    assert execute(empty_database_url, "SELECT to_regclass('pods')") == [(None,)]


def test_an_argument_that_is_no_text_is_refused(database_url: str) -> None:
    """Bytes that are not UTF-8, as a terminal in another encoding sends them."""
    told = Commands(environ={"DATABASE_URL": database_url}).refused("pause", "--pod", "caf\udce9")
    assert told == "an argument has bytes that are not UTF-8"


def test_a_process_ends_with_its_code_and_without_a_traceback() -> None:
    """As a user sees it."""
    with started("status", environ={"DATABASE_URL": NOBODY}) as process:
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("Error: PostgreSQL: ")
    assert "Traceback" not in errors


@pytest.mark.servers
def test_embedded_servers_need_no_settings_and_no_migration(tmp_path: Path) -> None:
    """They start in a folder of the current directory, have the schema, and are stopped afterwards."""
    from adapters.embedded.wheels import wheels_installed  # noqa: PLC0415 - only this test needs them

    if not wheels_installed():
        pytest.skip("the wheels are not installed")
    folder = tmp_path / "data"
    if os.geteuid() == 0:
        for place in (tmp_path, *list(tmp_path.parents)[:2]):
            place.chmod(0o711)
    told = ENGAGEMENT.json("status", "--embedded", "--data", str(folder))
    assert told["counts"]["due"] == {"value": 0, "exact": True}
    assert told["queue_depth"] == 0
    assert not list(folder.glob("**/postmaster.pid"))


def test_a_data_folder_of_no_use_is_one_line(tmp_path: Path) -> None:
    """There is a file where the folder should be."""
    (tmp_path / "data").write_text("")
    told = ENGAGEMENT("status", "--embedded", "--data", str(tmp_path / "data" / "deeper"))
    assert told.exit_code == 1
    assert "cannot be used" in told.stderr
    assert "Traceback" not in told.stderr
