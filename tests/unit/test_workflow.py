"""The workflow of the project's home says what the project says: its Pythons, its commands, its servers, its rights."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.servers import IMAGES

_ROOT = Path(__file__).resolve().parents[2]
_WORKFLOW: dict[Any, Any] = yaml.safe_load((_ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
_JOBS: dict[str, dict[str, Any]] = _WORKFLOW["jobs"]


def _configuration(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(_ROOT / name, encoding="utf-8")
    return parser


def _matrix() -> list[dict[str, str]]:
    matrix: list[dict[str, str]] = _JOBS["test"]["strategy"]["matrix"]["include"]
    return matrix


def _commands(job: str) -> list[str]:
    """What the job runs, once for each Python of its matrix."""
    runs = [step["run"] for step in _JOBS[job]["steps"] if "run" in step]
    if "strategy" not in _JOBS[job]:
        return runs
    return [run.replace("${{ matrix.env }}", row["env"]) for row in _matrix() for run in runs]


def test_every_python_that_is_promised_is_tested() -> None:
    """The classifiers promise, the matrix and tox keep it."""
    classifiers = _configuration("setup.cfg")["metadata"]["classifiers"]
    promised = re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE)
    assert [row["python"] for row in _matrix()] == promised
    assert [row["env"] for row in _matrix()] == [f"py{python.replace('.', '')}" for python in promised]


def test_every_environment_of_tox_is_run() -> None:
    """None is forgotten, and none is run that does not exist."""
    known = {name.strip() for name in _configuration("tox.ini")["tox"]["env_list"].split(",")}
    run = {found for job in _JOBS for command in _commands(job) for found in re.findall(r"tox -e (\S+)", command)}
    assert run == known


@pytest.mark.parametrize("job", ["lint", "test", "build"])
def test_a_job_checks_out_installs_what_it_runs_and_ends_by_itself(job: str) -> None:
    """In this order; a hanging test costs minutes, not hours."""
    steps = _JOBS[job]["steps"]
    assert steps[0]["uses"].startswith("actions/checkout@")
    commands = [step.get("run", "") for step in steps]
    assert commands.index("python -m pip install tox") < next(
        index for index, command in enumerate(commands) if "-m tox" in command
    )
    assert _JOBS[job]["timeout-minutes"] <= 60


def test_the_servers_are_those_that_the_tests_look_for() -> None:
    """By the variables that they read, on the ports that are published."""
    job = _JOBS["test"]
    assert set(job["env"]) == {"TEST_DATABASE_URL", "TEST_REDIS_URL"}
    passed = _configuration("tox.ini")["testenv"]["pass_env"].split()
    assert set(job["env"]) <= set(passed)
    postgres, valkey = job["services"]["postgres"], job["services"]["valkey"]
    assert postgres["image"] == IMAGES["postgres"]
    assert f":{postgres['env']['POSTGRES_PASSWORD']}@127.0.0.1:5432/" in job["env"]["TEST_DATABASE_URL"]
    assert postgres["ports"] == ["5432:5432"]
    assert job["env"]["TEST_REDIS_URL"].startswith("redis://127.0.0.1:6379/")
    assert valkey["ports"] == ["6379:6379"]


def test_the_tools_that_tests_need_are_got_in_the_step_that_runs_them() -> None:
    """As `.ci/run` gets them: what they declare and where they lie would be forgotten by the next step."""
    testing = [command for command in _commands("test") if "-m tox" in command]
    assert testing
    assert all(command.startswith(". .ci/tools && ") for command in testing)
    assert "\n. .ci/tools\n" in (_ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_only_a_tag_is_published_and_only_after_everything_else() -> None:
    """With the right to do so in this job alone, and no secret at all."""
    publish = _JOBS["publish"]
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert set(publish["needs"]) == set(_JOBS) - {"publish"}
    assert publish["permissions"] == {"id-token": "write"}
    assert _WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in _JOBS[job] for job in publish["needs"])
    assert "secrets." not in (_ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


def test_what_is_published_is_what_was_tested() -> None:
    """The folder that tox fills is the one that is handed over, and the tag must be its version."""
    folder = _configuration("tox.ini")["testenv:dist"]["set_env"]
    assert folder.endswith("/}dist")
    upload = next(step for step in _JOBS["build"]["steps"] if "upload-artifact" in step.get("uses", ""))
    download = next(step for step in _JOBS["publish"]["steps"] if "download-artifact" in step.get("uses", ""))
    assert upload["with"]["path"] == download["with"]["path"] == "dist/"
    assert upload["with"]["name"] == download["with"]["name"]
    name = _configuration("setup.cfg")["metadata"]["name"].replace("-", "_")
    assert any(f"dist/{name}-${{GITHUB_REF_NAME#v}}-py3-none-any.whl" in command for command in _commands("publish"))


def test_it_runs_for_every_change_and_every_tag() -> None:
    """YAML reads the key `on` as a truth."""
    triggers = _WORKFLOW[True]
    assert set(triggers) == {"push", "pull_request"}
    assert triggers["push"] == {"branches": ["main"], "tags": ["v*"]}


def test_every_action_is_pinned() -> None:
    """To a major version of its own at least."""
    used = [step["uses"] for job in _JOBS.values() for step in job["steps"] if "uses" in step]
    assert all(re.search(r"@(v\d+|release/v\d+|[0-9a-f]{40})$", action) for action in used)
