"""Starts the real ``poolwatch`` command on small programs, as a person would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

AGENT = Path(__file__).parent.parent / "agent"
POOLWATCH = [sys.executable, "-m", "poolwatch"]

LEAK = """
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db")
KEPT = []
def take():
    connection = engine.connect()
    connection.execute(text("select 1"))
    KEPT.append(connection)
take()
"""
"""A program that ends with one connection out."""

SPOOLED = """
import glob, os, time
own = f"{os.environ['POOLWATCH_DIR']}/{os.getpid()}-*.json"
while not any('"used": 1' in open(path).read() for path in glob.glob(own)):
    time.sleep(0.02)
"""
"""What comes after LEAK where the connection must have been told of: it waits for that."""

HOLD = LEAK + SPOOLED + "print('ready', flush=True)\ntime.sleep(60)\n"
"""A program that has said in the spool that it holds a connection, and then on standard output that it is ready."""

CLEAN = """
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db")
with engine.connect() as connection:
    connection.execute(text("select 1"))
"""


def environment(**more: str) -> dict[str, str]:
    """Give an environment in which this checkout's poolwatch and this ``python`` are found, and nothing else is set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POOLWATCH_", "NO_COLOR"))}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "PYTHONPATH": str(AGENT), "TERM": "xterm", **more}


WITHOUT_TEMPORARY_FILES = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/none"]
from poolwatch.cli import main
sys.exit(main())
"""
"""The command where nothing for temporary files can be written, as in a container whose root is read-only."""


def script(folder: Path, source: str, name: str = "app.py") -> Path:
    """Write a program."""
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


def poolwatch(*words: object, cwd: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``poolwatch`` with these words to its end."""
    return subprocess.run(
        [*POOLWATCH, *map(str, words)],
        cwd=cwd,
        env=environment(**env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def start(*words: object, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start ``poolwatch`` with these words."""
    return subprocess.Popen(
        [*POOLWATCH, *map(str, words)],
        cwd=cwd,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def reported(path: Path) -> dict[str, Any]:
    """Read a JSON report."""
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def kinds(report: dict[str, Any]) -> list[str]:
    """Give the kinds of its findings."""
    return sorted(finding["kind"] for finding in report["findings"])
