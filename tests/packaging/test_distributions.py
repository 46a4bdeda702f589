"""The sdist and the wheel, as a user gets them: what is in them, and that each runs in an environment of its own.

The one rule: nothing of the working tree is used but what was built from it. Slow, and it needs the package index:
`tox -e dist` runs it, a plain `pytest` does not (see `norecursedirs` in setup.cfg).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # it builds, downloads and runs a demo

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("adapters", "engagement_core", "runners")
# What somebody needs who packages it for a system, or who has nothing but the sdist.
_SOURCES = (*_PACKAGES, "deploy", "docs", "examples", "tests")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both; DIST_FOLDER, if that is set."""
    copy = tmp_path_factory.mktemp("source")
    for path in _tracked():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(_ROOT / path, copy / path)
    folder = Path(os.environ.get("DIST_FOLDER") or tmp_path_factory.mktemp("dist"))
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--outdir", str(folder), str(copy))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Built from the sdist, as `python -m build` does it."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    """The source distribution."""
    (path,) = built.glob("*.tar.gz")
    return path


def _tracked() -> list[str]:
    """The files of this revision, and those that are about to be: none that is only lying about."""
    listed = _run("git", "-C", str(_ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return [path for path in listed.split("\0") if path and (_ROOT / path).is_file()]


def _run(*command: str, **options: object) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def _environment(folder: Path) -> Path:
    """An empty virtual environment's Python: without even pip, which costs seconds."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    return folder / "bin" / "python"


def _pip(python: Path, *arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--python", str(python), *arguments, env=_clean(python.parents[2]))


def _clean(home: Path) -> dict[str, str]:
    kept = ("PATH", "PIP_INDEX_URL", "PIP_CACHE_DIR", "PIP_CONFIG_FILE", "SSL_CERT_FILE", "HOME")
    return {"TMPDIR": str(home), **{name: os.environ[name] for name in kept if name in os.environ}}


def test_twine_finds_nothing_to_object_to(wheel: Path, sdist: Path) -> None:
    """Warnings included: the README is what people see first."""
    _run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))


def test_the_wheel_has_the_three_packages_and_nothing_else(wheel: Path) -> None:
    """Every source file of them, the schema, and the marks that say that they are typed."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    expected = {
        path for path in _tracked() if path.split("/")[0] in _PACKAGES and path.endswith((".py", ".sql", "py.typed"))
    }
    assert names == expected
    assert {"engagement_core/py.typed", "adapters/postgres/schema/schema.sql"} <= names
    assert "License-File: LICENSE" in text


def test_the_sdist_has_what_is_tracked_and_nothing_that_lies_about(sdist: Path) -> None:
    """Sources, tests and pages, but for the files that only the repository needs."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    expected = {path for path in _tracked() if path.split("/")[0] in _SOURCES}
    assert expected <= names
    made = {name for name in names if name.startswith("pod_engagement.egg-info/") or name == "PKG-INFO"}
    assert names - expected - made == {
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "MANIFEST.in",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "tox.ini",
    }


def test_the_core_works_alone_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Without any dependency: every public name is there, and the example runs."""
    python = _environment(tmp_path / "venv")
    environ = _clean(tmp_path)
    _pip(python, "install", "--no-deps", "--no-index", str(wheel))
    script = "import engagement_core as core; print(core.__file__, *(getattr(core, name) for name in core.__all__))"
    told = _run(str(python), "-I", "-W", "error", "-c", script, cwd=tmp_path, env=environ)
    assert told.startswith(str(tmp_path / "venv"))
    assert (Path(told.split()[0]).parent / "py.typed").exists()
    example = shutil.copytree(_ROOT / "examples" / "newsroom", tmp_path / "newsroom")
    _run(str(python), "-W", "error", str(example / "newsroom.py"), cwd=tmp_path, env=environ)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_demo_runs_from_each(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """As README's first command does it, with the servers that come along."""
    path: Path = request.getfixturevalue(kind)
    python = _environment(tmp_path / "venv")
    _pip(python, "install", "--no-compile", f"{path}[embedded]")
    _pip(python, "check")
    told = _run(str(python.parent / "engagement"), "demo", cwd=tmp_path, env=_clean(tmp_path))
    assert "executed" in told
