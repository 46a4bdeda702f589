"""What `.ci/tools` does where a tool of the tests is there, can be got, or cannot be had."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ("bash", "cat", "chmod", "cp", "find", "ln", "mkdir", "mktemp", "rm", "sed", "sh")
_ALL = {"PROMTOOL", "PGBOUNCER", "FOREIGN_SERVERS", "NODE_AND_NPM"}
_POSTGRESQL = "usr/lib/postgresql/15"


class Machine:
    """A machine that has these programs and no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in _NEEDED:
            (self.programs / name).symlink_to(str(shutil.which(name)))
        shutil.copytree(_ROOT / "tests" / "node", folder / "tests" / "node")
        # The folder where ordinary users do not look may be this machine's own.
        text = (_ROOT / ".ci" / "tools").read_text(encoding="utf-8")
        assert text.count(":/usr/sbin") == 1
        (folder / "tools").write_text(text.replace(":/usr/sbin", ""), encoding="utf-8")

    def has(self, name: str, script: str = "") -> None:
        """Put a program there; without a script it does nothing, well."""
        program = self.programs / name
        program.write_text(f"#!{shutil.which('sh')}\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    def declares(self, then: str = "") -> set[str]:
        """Which tools are declared to be missing, after this command worked."""
        script = f"set -euo pipefail; . ./tools; trap 'rm -rf \"$tools\"' EXIT; {then}\nexport -p"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env={"PATH": str(self.programs), "POSTGRESQL_15": str(self.folder / "bin")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        declared = set(re.findall(r'(\w+)="missing"', done.stdout))
        assert done.stderr.count("cannot be had: its tests are skipped") == len(declared)
        return declared


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One that has none of the tools, and no way to get them."""
    return Machine(tmp_path)


def test_what_cannot_be_had_is_declared(machine: Machine) -> None:
    """All of them, by name; the run goes on."""
    assert machine.declares() == _ALL


def test_what_no_mirror_answers_for_is_declared(machine: Machine) -> None:
    """Neither apt-get nor pip nor npm can reach anything."""
    for name in ("apt-get", "apt-cache", "dpkg-deb", "python3"):
        machine.has(name, "exit 100")
    assert machine.declares() == _ALL


def test_a_mirror_that_hangs_costs_its_time_once(machine: Machine) -> None:
    """And nothing is said of pip and npm by it: their registries are other ones."""
    for name in ("apt-get", "apt-cache", "dpkg-deb", "node", "npm"):
        machine.has(name)
    machine.has("timeout", '[ "$2" = npm ] || { echo "$2" >>"$0.asked"; exit 124; }')
    assert machine.declares() == _ALL - {"NODE_AND_NPM"}
    assert (machine.programs / "timeout.asked").read_text(encoding="utf-8") == "apt-get\n"


def test_what_is_there_is_not_fetched(machine: Machine) -> None:
    """Nobody's package manager is asked."""
    for name in ("promtool", "pgbouncer", "postgres", "redis-server", "node", "npm"):
        machine.has(name)
    machine.has("apt-get", "echo asked >asked")
    assert machine.declares() == set()
    assert not (machine.folder / "asked").exists()


def test_a_tool_is_taken_out_of_its_package(machine: Machine) -> None:
    """It runs, from the end of the PATH."""
    machine.has("apt-get", '[ "$2 $3" = "download prometheus" ] && : >prometheus.deb')
    machine.has("dpkg-deb", "mkdir -p usr/bin && printf '#!/bin/sh\\n' >usr/bin/promtool && chmod 755 usr/bin/promtool")
    assert machine.declares(then="promtool --version") == _ALL - {"PROMTOOL"}


def test_a_package_that_does_not_run_here_is_as_good_as_missing(machine: Machine) -> None:
    """Its libraries are not there, for instance."""
    machine.has("apt-get", ": >package.deb")
    machine.has(
        "dpkg-deb",
        "mkdir -p usr/bin && printf '#!/bin/sh\\nexit 127\\n' >usr/bin/promtool && chmod 755 usr/bin/promtool",
    )
    assert "PROMTOOL" in machine.declares()


def test_servers_are_taken_out_of_their_packages_with_the_libraries_that_are_lacking(machine: Machine) -> None:
    """PostgreSQL's programs are not on the PATH, where somebody's own may be."""
    machine.has(
        "apt-get",
        """
        case "$*" in
            *" install "*) printf 'Inst libllvm14 (1)\nInst libpq5 (15)\nInst perl (5)\n' ;;
            *" download postgresql-15 libpq5") : >postgresql.deb ;;
            *" download redis-server redis-tools libpq5") : >redis.deb ;;
            *) exit 100 ;;
        esac""",
    )
    machine.has(
        "dpkg-deb",
        f"""
        mkdir -p usr/bin {_POSTGRESQL}/bin {_POSTGRESQL}/lib usr/lib/machine
        : >{_POSTGRESQL}/lib/llvmjit.so
        for name in usr/bin/redis-server {_POSTGRESQL}/bin/initdb {_POSTGRESQL}/bin/postgres; do
            printf '#!/bin/sh\\ncase $LD_LIBRARY_PATH in *usr/lib/machine*) ;; *) exit 127 ;; esac\\n' >"$name"
            chmod 755 "$name"
        done""",
    )
    then = 'redis-server; "$POSTGRESQL_15/initdb"; [ ! -e "$tools/bin/initdb" ]'
    then += '; [ -z "$(find "$tools/postgresql" -name "llvm*")" ]'
    assert machine.declares(then=then) == _ALL - {"FOREIGN_SERVERS"}


def test_node_without_its_packages_is_as_good_as_missing(machine: Machine) -> None:
    """The registry cannot be reached: the tests could not install BullMQ."""
    machine.has("node")
    machine.has("npm", "exit 1")
    assert "NODE_AND_NPM" in machine.declares()
