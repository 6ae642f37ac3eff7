"""``poolwatch doctor``: what is hooked here, in which version, what is not and why."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from poolwatch import __version__, config
from poolwatch.cli import environment
from poolwatch.cli.sources import temporary
from poolwatch.config import Config
from poolwatch.errors import PoolwatchError
from poolwatch.hooks.table import TABLE
from poolwatch.libraries import DISTRIBUTIONS
from poolwatch.model import Json
from poolwatch.report import spool
from poolwatch.text import clean

HELP = "say what is hooked here, in which version, and what is not and why"

_BESIDE = ("gunicorn", "uvicorn", "celery", "prometheus-client", "opentelemetry-sdk", "psutil")
"""Distributions whose version tells a maintainer something, beside those that every report names."""
_PATIENCE = 30
"""Seconds a trial process may take."""
_TRIAL = """
import importlib, json, sys
from importlib import metadata
versions, errors = {}, {}
for word in sys.argv[2:]:
    name, module, package = word.split(":")
    try:
        importlib.import_module(module)
        versions[name] = metadata.version(package)
    except metadata.PackageNotFoundError:
        pass  # a module of Python's own
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.split(".")[0]
        errors[name] = "not installed" if absent else "cannot be imported: %s: %s" % (type(error).__name__, error)
with open(sys.argv[1], "w") as file:
    json.dump([versions, errors], file)
"""
"""Imports what the hooks wait for, as a program does, and writes in which version it is there, or why it is not."""
_OLDEST = {"sqlalchemy": ((2, 0), "2.0 to 2.1")}
"""The version that a library must have at least, and those that are supported."""
_PACKAGES = {"opentelemetry": "opentelemetry-api"}
"""Name of a hook to the distribution that it is about, where that is called otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``doctor``."""
    parser.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="the interpreter to try (default: this)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the findings of the examination; gives 0 where a Python process can be hooked, else 1."""
    for label, value in _facts():
        print(f"{label:<12}{clean(value)}")
    states, trouble = _trial(args.python)
    for name, state in states.items():
        print(f"{'hook':<12}{name}: {clean(state)}")
    print(f"{'injection':<12}{clean(trouble or f'works: {args.python} was hooked through PYTHONPATH')}")
    return 1 if trouble else 0


def _facts() -> Iterator[tuple[str, str]]:
    yield "poolwatch", f"{__version__} in {os.path.dirname(environment.BOOT)}"
    yield "python", f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    free_threaded = "free-threaded, " if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    inside = f"in the virtualenv {sys.prefix}" if sys.prefix != sys.base_prefix else "in no virtualenv"
    yield "platform", f"{platform.platform()}, {free_threaded}{inside}"
    known = (f"{name} {found}" for name in (*DISTRIBUTIONS, *_BESIDE) if (found := _version(name)))
    yield "libraries", ", ".join(known) or "none known"
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
    try:
        directory = os.environ.get(spool.DIRECTORY_VARIABLE) or temporary()
    except PoolwatchError as error:
        return f"{error}"
    facts = os.statvfs(directory) if os.path.isdir(directory) else None
    if facts is None or not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} is no folder that can be written; set {spool.DIRECTORY_VARIABLE} or TMPDIR"
    return f"{directory} can be written, {facts.f_bavail * facts.f_frsize // 2**20} MiB free"


def _trial(python: str) -> tuple[dict[str, str], str]:
    """Start an interpreter as ``run`` does; gives the state of each hook, and what is wrong where it gave none."""
    try:
        folder = os.environ.get(spool.DIRECTORY_VARIABLE) or temporary()
        with tempfile.TemporaryDirectory(prefix="poolwatch-doctor-", dir=folder) as directory:
            return _tried(python, directory)
    except (OSError, PoolwatchError, subprocess.TimeoutExpired) as error:
        return {}, f"does not work: {python}: {error}"


def _tried(python: str, directory: str) -> tuple[dict[str, str], str]:
    words = [f"{name}:{module}:{_PACKAGES.get(name, name)}" for name, module, _ in TABLE]
    variables = environment.variables(Config(), directory)
    found = Path(directory, "versions")
    trial = subprocess.run(
        [python, "-c", _TRIAL, found, *words], env=variables, capture_output=True, text=True, timeout=_PATIENCE
    )
    reports = spool.read_all(directory)
    if not reports:
        return {}, _trouble(spool.read_notes(directory), trial)
    versions, errors = json.loads(found.read_text()) if found.exists() else ({}, {})
    hooks = reports[0]["processes"][0]["hooks"]
    return {name: _state(name, state, versions.get(name, ""), errors.get(name)) for name, state in hooks.items()}, ""


def _state(name: str, state: str, version: str, error: str | None) -> str:
    """Say how it stands with a hook; ``error`` is why its library could not be imported."""
    least, supported = _OLDEST.get(name, ((), ""))
    if version and tuple(map(int, re.findall(r"\d+", version)[:2])) < least:
        return f"{version} is too old, {supported} are supported"
    return error or f"{state} {version}".strip()


def _trouble(notes: list[Json], trial: subprocess.CompletedProcess[str]) -> str:
    if notes:
        return f"does not work: {notes[0]['error']}"
    if trial.returncode:
        return f"does not work: the trial ended with {trial.returncode}: {trial.stderr[-300:]}"
    return "does not work: the interpreter did not read PYTHONPATH (an isolated or frozen one?)"
