"""``poolwatch doctor``: what is hooked here, in which version, what is not and why."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from poolwatch import config, spool
from poolwatch.cli import environment
from poolwatch.cli.version import own_version
from poolwatch.config import Config
from poolwatch.errors import PoolwatchError
from poolwatch.model import Json
from poolwatch.text import clean

HELP = "say what is hooked here, in which version, and what is not and why"

LIBRARIES = (
    "sqlalchemy", "psycopg", "psycopg-pool", "psycopg2", "psycopg2-binary", "asyncpg", "pymysql", "aiomysql", "asyncmy",
    "aiosqlite", "pyodbc", "gql", "gevent", "greenlet", "gunicorn", "uvicorn", "celery", "prometheus-client",
    "opentelemetry-sdk", "psutil",
)  # fmt: skip
"""Distributions whose version tells a maintainer something."""
_PATIENCE = 30
"""Seconds a trial process may take."""
_TRIAL = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``doctor``."""
    parser.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="the interpreter to try (default: this)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the findings of the examination; gives 0 where a Python process can be hooked, else 1."""
    for label, value in _facts():
        print(f"{label:<12}{clean(value)}")
    report, trouble = _trial(args.python)
    for name, state in _hooks(report):
        print(f"{'hook':<12}{name}: {clean(state)}")
    print(f"{'injection':<12}{clean(trouble or f'works: {args.python} was hooked through PYTHONPATH')}")
    return 1 if trouble else 0


def _facts() -> Iterator[tuple[str, str]]:
    yield "poolwatch", f"{own_version()} in {os.path.dirname(environment.BOOT)}"
    yield "python", f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    free_threaded = "free-threaded, " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    inside = f"in the virtualenv {sys.prefix}" if sys.prefix != sys.base_prefix else "in no virtualenv"
    yield "platform", f"{platform.platform()}, {free_threaded}{inside}"
    yield "libraries", ", ".join(f"{name} {found}" for name in LIBRARIES if (found := _version(name))) or "none known"
    yield "options", _options()
    yield "spool", _spool()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _options() -> str:
    """Say what the environment changes; a value that is not allowed is named."""
    try:
        changed = config.to_environment(config.from_environment())
    except PoolwatchError as error:
        return f"{error}"
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "all at their defaults"


def _spool() -> str:
    directory = os.environ.get(spool.DIRECTORY_VARIABLE, tempfile.gettempdir())
    facts = os.statvfs(directory) if os.path.isdir(directory) else None
    if facts is None or not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} is no folder that can be written; set {spool.DIRECTORY_VARIABLE} or TMPDIR"
    return f"{directory} can be written, {facts.f_bavail * facts.f_frsize // 2**20} MiB free"


def _hooks(report: Json | None) -> list[tuple[str, str]]:
    process = report["processes"][0] if report else {"hooks": {}, "versions": {}}
    return [(name, f"{state} {process['versions'].get(name, '')}".strip()) for name, state in process["hooks"].items()]


def _trial(python: str) -> tuple[Json | None, str]:
    """Start an interpreter as ``run`` does; gives its report, and what is wrong where it gave none."""
    with tempfile.TemporaryDirectory(prefix="poolwatch-doctor-") as directory:
        variables = environment.variables(Config(), directory)
        try:
            trial = subprocess.run(
                [python, "-c", _TRIAL, *config.HOOKS], env=variables, capture_output=True, text=True, timeout=_PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, f"does not work: {python}: {error}"
        reports = spool.read_all(directory)
        notes = spool.read_notes(directory)
    return (reports[0], "") if reports else (None, _trouble(notes, trial))


def _trouble(notes: list[Json], trial: subprocess.CompletedProcess[str]) -> str:
    if notes:
        return f"does not work: {notes[0]['error']}"
    if trial.returncode:
        return f"does not work: the trial ended with {trial.returncode}: {trial.stderr[-300:]}"
    return "does not work: the interpreter did not read PYTHONPATH (an isolated or frozen one?)"
