"""The house itself: layers, sizes, versions, and that the package carries what it needs."""

from __future__ import annotations

import ast
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import poolwatch
from poolwatch.config import HOOKS
from poolwatch.hooks.sqlalchemy import sessions
from poolwatch.hooks.table import TABLE
from tests.launcher import poolwatch as command
from tests.launcher import reported, script

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "agent" / "poolwatch"
LONGEST = 300
"""Lines of a module: what one can read in one sitting."""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="import-linter 2.16 needs Python 3.11")
def test_imports_go_downwards() -> None:
    """The layers, and what may import third-party packages, are as the contracts say."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_peoples_packages_are_named() -> None:
    """The contract on third-party packages knows every one that any module imports."""
    tomllib = pytest.importorskip("tomllib", reason="begins with Python 3.11")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (named,) = (set(one["forbidden_modules"]) for one in contracts if one["id"] == "third-party")
    imported = {name for path in SOURCE.rglob("*.py") for name in _imported(ast.parse(path.read_text()))}
    assert imported - named - sys.stdlib_module_names - {"poolwatch"} == set()


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_modules_are_short() -> None:
    """No module is longer than what one reads in one sitting."""
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}


def test_readme_names_every_folder() -> None:
    """The map in README.md has a place for each folder of the package."""
    table = re.findall(r"^\| [a-z ]+ \| (`.+`) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(table)))
    assert named == {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_changelog_has_unreleased_changes() -> None:
    """The changelog starts with what is not released yet."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_versions_agree() -> None:
    """The version stands in the package, and its metadata and the command have it from there."""
    assert metadata.version("poolwatch") == poolwatch.__version__
    assert command("--version", cwd=ROOT).stdout == f"poolwatch {poolwatch.__version__}\n"
    places = [path for path in (*SOURCE.rglob("*.py"), ROOT / "pyproject.toml") if _names_a_version(path)]
    assert places == [SOURCE / "__init__.py"]


def _names_a_version(path: Path) -> bool:
    return f'"{poolwatch.__version__}"' in path.read_text("utf-8")


def test_a_program_of_another_environment_has_the_launchers_version(tmp_path: Path) -> None:
    """Its own environment needs no poolwatch, and its report names the one that rides in it."""
    python = getattr(sys, "_base_executable")  # noqa: B009 - an interpreter without what is installed here
    words = ("run", "--report", tmp_path / "r.json", "--", python, script(tmp_path, "print('done')"))
    done = command(*words, cwd=tmp_path, PYTHONPATH="")
    assert done.stdout == "done\n", done.stderr
    (process,) = reported(tmp_path / "r.json")["processes"]
    assert process["versions"]["poolwatch"] == poolwatch.__version__


def test_a_process_names_the_versions_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report has the libraries' versions as their metadata says them, also where that is in the old form."""
    (tmp_path / "gql.egg-info").mkdir()
    (tmp_path / "gql.egg-info" / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: gql\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    watch = poolwatch.install(interval=60)
    versions = watch.report()["processes"][0]["versions"]
    watch.uninstall()
    assert versions.pop("python") == platform.python_version()
    assert versions == {name: metadata.version(name) for name in versions}
    assert versions["gql"] == "0.1"
    assert {"poolwatch", "sqlalchemy", "psycopg", "psycopg2-binary"} <= versions.keys()


def test_hooks_that_can_be_named_are_those_there_are() -> None:
    """The option's names are those of the table of hooks, in its order."""
    assert tuple(dict.fromkeys(name for name, *_ in TABLE)) == HOOKS


def test_a_hook_is_as_well_as_its_worst_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a library's pools are hooked and its sessions are not, its hook has failed, and says of what."""

    def fail(*_: object) -> None:
        raise RuntimeError("no such session")

    monkeypatch.setattr(sessions, "install", fail)
    watch = poolwatch.install(interval=60, hooks="sqlalchemy")
    hooks = watch.report()["processes"][0]["hooks"]
    watch.uninstall()
    assert hooks == dict.fromkeys(HOOKS, "off") | {"sqlalchemy": "failed: RuntimeError: no such session"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Give the names of the files in a wheel, built from a copy since building leaves things behind."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "agent", copy / "agent", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", out, copy], check=True)
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return frozenset(archive.namelist())


def test_wheel_carries_every_file_of_the_package(wheel: frozenset[str]) -> None:
    """What an installed poolwatch needs, modules, page, schema and the rest, is in the wheel."""
    files = (path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(ROOT / "agent").as_posix() for path in files} - wheel == set()
    assert "poolwatch/py.typed" in wheel
