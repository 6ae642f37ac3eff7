"""The house itself: layers, sizes, versions, and that the package carries what it needs."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import poolwatch
from poolwatch.cli.version import own_version

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


def test_modules_are_short() -> None:
    """No module is longer than what one reads in one sitting."""
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {name: size for name, size in sizes.items() if size > LONGEST} == {}


def test_changelog_has_unreleased_changes() -> None:
    """The changelog starts with what is not released yet."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_versions_agree() -> None:
    """The package, its metadata and pyproject.toml name one version."""
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    assert own_version() == metadata.version("poolwatch") == declared[1]


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
