"""Run one story in a folder of its own, under the monitor or bare, and say what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.servers import Server
from tests.stories.databases import url
from tests.stories.judge import Outcome, judge
from tests.stories.story import Story

TIMEOUT = 40.0
_AGENT = Path(__file__).parents[2] / "agent"


def run(story: Story, servers: dict[str, Server], bare: bool = False) -> Outcome:
    """Run the story; ``bare`` leaves the monitor out, and then only exit status and output are looked at."""
    with tempfile.TemporaryDirectory(prefix="story-") as folder:
        place = Path(folder)
        report = place / "report.json"
        started = time.monotonic()
        status, stdout, stderr = _execute(_command(story, report, bare), _environment(story, servers, place), place)
        seconds = time.monotonic() - started
        problems = _problems(story, status, stdout)
        if not bare and not report.exists():
            problems += ("there is no report",)
        missed, alarms = judge(story, json.loads(report.read_text())) if report.exists() else ((), ())
    if not bare and "there is no report" in problems:
        missed = tuple(expected.kind for expected in story.expected)
    return Outcome(story, seconds, problems, missed, alarms, stdout + stderr)


def _command(story: Story, report: Path, bare: bool) -> list[str]:
    program = [sys.executable, str(story.path)]
    if bare:
        return program
    monitor = [sys.executable, "-m", "poolwatch", "run", "--report", str(report), "--format", "json"]
    return [*monitor, *story.options, "--", *program]


def _environment(story: Story, servers: dict[str, Server], place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POOLWATCH_", "PYTEST_"))}
    path = os.pathsep.join(filter(None, (str(_AGENT), kept.get("PYTHONPATH"))))
    return kept | {"STORY_URL": url(story.database, servers, place), "PYTHONPATH": path}


def _execute(command: list[str], environment: dict[str, str], place: Path) -> tuple[int | None, str, str]:
    """Run a command in a process group of its own; the status is None where it did not end in time."""
    work = place / "work"
    work.mkdir()
    with (place / "stdout").open("w+") as stdout, (place / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end_group(process)
        return status, (place / "stdout").read_text(), (place / "stderr").read_text()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the story, grandchildren too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _problems(story: Story, status: int | None, stdout: str) -> tuple[str, ...]:
    if status is None:
        return (f"did not end within {TIMEOUT:g} s",)
    shell_status = 128 - status if status < 0 else status
    problems = []
    if shell_status != story.exit:
        problems.append(f"exit status {shell_status}, not {story.exit}")
    if stdout.splitlines() != ["done"]:
        problems.append(f"printed {stdout[-200:]!r}, not 'done'")
    return tuple(problems)
