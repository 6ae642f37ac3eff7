"""What ``poolwatch run`` could not see: it says so, and never calls it "no findings" alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from poolwatch import cli
from poolwatch.report import schema, spool
from tests.launcher import environment, poolwatch, reported, script, until
from tests.reports import report

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

_UNTOLD = """
import glob, os, resource, time
from sqlalchemy import create_engine
engine = create_engine("sqlite://")
def until(pattern):
    while not glob.glob(f"{os.environ['POOLWATCH_DIR']}/{pattern}"):
        time.sleep(0.02)
"""
"""For a disk that is full, from the view of one process: its files may have no more bytes."""


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A process whose report finds no room says why, in the summary and in the report."""
    source = "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\nkept = engine.connect()\nuntil('*.unwritten')"
    done = poolwatch("run", "--report", "r.json", "--", script(tmp_path, _UNTOLD + source), cwd=tmp_path)
    assert re.search(r"NOT ALL WAS SEEN: process \d+ could not write its report: File too large;", done.stderr)
    assert "no process reported" not in done.stderr
    jsonschema.Draft202012Validator(schema.report_schema()).validate(reported(tmp_path / "r.json"))


def test_what_is_written_later_is_no_trouble(tmp_path: Path) -> None:
    """Once a report can be written again, nothing is said of the trouble."""
    writer, path = spool.Spool(str(tmp_path)), tmp_path / spool.file_name(report())
    path.mkdir()
    assert not writer.write(report())
    assert spool.read_unwritten(str(tmp_path)) == {10: "Is a directory"}
    path.rmdir()
    assert writer.write(report())
    assert spool.read_unwritten(str(tmp_path)) == {}


def test_no_last_word_of_what_ended_by_itself(tmp_path: Path) -> None:
    """A command that leaves past Python, with a status, has told of its end to nobody: that is said."""
    source = _UNTOLD + "until('*.json')\nimport ctypes\nctypes.CDLL(None)._exit(0)\n"
    done = poolwatch("run", "--", script(tmp_path, source), cwd=tmp_path)
    assert re.search(r"no findings, NOT ALL WAS SEEN: process \d+ said no last word\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "named", "said"),
    [
        (["run", "--dir", "/proc", "--", "true"], "", "--dir: '/proc' cannot be used: "),
        (["run", "--", "true"], "/proc", "POOLWATCH_DIR: '/proc' cannot be used: "),
        (["agent", "--dir", __file__], "", f"--dir: {__file__!r} cannot be used: it is no folder\n"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    words: list[str], named: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder in which nothing can be written is refused, by the name of whatever named it; so is a file."""
    monkeypatch.setenv("POOLWATCH_DIR", named)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        assert cli.main(words) == 2
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert said in capsys.readouterr().err


_GIVES_UP_ROOT = """
import os, time, sys
import poolwatch, sqlite3
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool
def take():
    kept.append(create_engine("sqlite://", poolclass=QueuePool).connect())
kept = []
take()
while not any('"used": 1' in open(e).read() for e in os.scandir(os.environ["POOLWATCH_DIR"])):
    time.sleep(0.02)
os.setuid(65534)
take()
"""


@AS_ROOT
def test_a_process_that_gives_up_root_reports(tmp_path: Path) -> None:
    """What was found after a change of user is told, and what was told before is not told twice."""
    app = script(tmp_path, _GIVES_UP_ROOT)
    done = poolwatch("run", "--report", "r.json", "--", "python", app, cwd=tmp_path)
    assert "poolwatch: 1 process, 2 pools, 2 leases, " in done.stderr
    assert "NOT ALL WAS SEEN" not in done.stderr
    (process,) = reported(tmp_path / "r.json")["processes"]
    assert process["exit"] == "status 0"


def test_nothing_is_written_into_what_is_there(tmp_path: Path) -> None:
    """A link or a file in the way of a report is replaced, and what it leads to stays as it is; no link is read."""
    writer, victim = spool.Spool(str(tmp_path)), tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / spool.file_name(report())
    Path(f"{path}.{os.getpid()}.tmp").symlink_to(victim)
    assert writer.write(report())
    assert (victim.read_text(), path.is_symlink()) == ("mine", False)
    (tmp_path / "2-2.json").symlink_to(path)
    skipped: dict[str, str] = {}
    assert len(spool.read_all(str(tmp_path), skipped)) == 1
    assert list(skipped) == ["2-2.json"]


def test_no_folder_is_made_again(tmp_path: Path) -> None:
    """What outlives the launcher, and what it starts then, leaves nothing: the folder is gone."""
    program = "import os, sys; print('poolwatch' in sys.modules, os.path.exists(os.environ['POOLWATCH_DIR']))"
    source = f"""
        import os, subprocess, sys, time
        out = os.open("out", os.O_CREAT | os.O_WRONLY)
        if os.fork() == 0:
            while os.path.exists(os.environ["POOLWATCH_DIR"]):
                time.sleep(0.02)
            time.sleep(0.6)  # looks, which find no folder
            subprocess.run([sys.executable, "-c", {program!r}], stdout=out)
            os.write(out, b"end")
    """
    with open(os.devnull) as nothing:
        command = [sys.executable, "-m", "poolwatch", "run", "--", "python", str(script(tmp_path, source))]
        subprocess.run(command, cwd=tmp_path, env=environment(), stderr=nothing, stdout=nothing, check=True, timeout=60)
    until(lambda: "end" in (tmp_path / "out").read_text())
    assert (tmp_path / "out").read_text() == "False False\nend"
