"""Ends of a process: whatever way it goes, it goes at once, and what was known is told."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from poolwatch.cli.gather import Gathering
from tests.launcher import kinds, poolwatch, reported, script, start, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def status(program: str, folder: Path) -> int:
    """Run a program; gives its exit status, or fails where it hangs."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=30).returncode


def test_exit_in_a_signal_handler_that_interrupts_a_look(tmp_path: Path) -> None:
    """``os._exit`` in a handler does not wait for ever for the look that the handler has interrupted."""
    program = """
    import os, signal, poolwatch
    watch = poolwatch.install(interval=60)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(5))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    look = watch._watcher._looks.look
    def slow(final):
        while not final:
            pass
        return look(final)
    watch._watcher._looks.look = slow
    watch.findings()
    """
    assert status(program, tmp_path) == 5


def test_exit_wrapped_by_somebody_between_two_watches(tmp_path: Path) -> None:
    """Somebody who wraps ``os._exit`` while poolwatch is in stays in, and the next watch calls nobody twice."""
    program = """
    import os, signal, poolwatch
    calls = []
    def wrapped(call):
        return lambda number: (calls.append(number), call(number))
    watch = poolwatch.install()
    os._exit, signal.raise_signal = wrapped(os._exit), wrapped(signal.raise_signal)
    watch.uninstall()
    poolwatch.install()
    signal.signal(signal.SIGUSR1, lambda *_: calls.append("handled"))
    signal.raise_signal(signal.SIGUSR1)
    os._exit(7 if calls == [signal.SIGUSR1, "handled"] else 1)
    """
    assert status(program, tmp_path) == 7


WORKERS = """
import multiprocessing
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db", pool_size=3)
def read(number):
    for _ in range(100):
        with engine.connect() as connection:
            answer = connection.scalar(text("select :number"), {"number": number})
    return answer
def work():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(read, range(20))
"""


def test_crossing_in_workers_that_are_killed(tmp_path: Path) -> None:
    """Workers that use the parent's connection and are killed milliseconds later have told of it by then."""
    program = script(tmp_path, WORKERS + "with engine.connect():\n    pass\nprint(sum(work()))\n")
    done = poolwatch("run", "--report", "r.json", "--", sys.executable, program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "190\n")
    assert kinds(reported(tmp_path / "r.json")) == ["crossing.process"]


def test_workers_killed_after_their_work(tmp_path: Path) -> None:
    """Workers with connections of their own, all of them returned, are killed: no finding, whatever was out lately."""
    program = script(tmp_path, WORKERS + "for _ in range(3):\n    print(sum(work()))\n")
    done = poolwatch("run", "--report", "r.json", "--interval", "0.01", "--", sys.executable, program, cwd=tmp_path)
    assert done.returncode == 0
    assert kinds(reported(tmp_path / "r.json")) == []


DROPPED = """
from sqlalchemy import create_engine, text
engine = create_engine("sqlite://")
def count():
    connection = engine.connect()
    return connection.scalar(text("select 1"))
print(count())
"""


def test_dropped_in_the_last_moment(tmp_path: Path) -> None:
    """What was dropped in a cycle, just before the program ended, is told as dropped: nobody held it any more."""
    poolwatch("run", "--report", "r.json", "--", sys.executable, script(tmp_path, DROPPED), cwd=tmp_path)
    assert kinds(reported(tmp_path / "r.json")) == ["leak.collected"]


REPLACED = """
import gc, os, sys, time
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db")
def drop():
    connection = engine.connect()
    connection.execute(text("select 1"))
def keep():
    return engine.connect()
if sys.argv[1:2] == ["again"]:
    while sys.argv[2] == "wait" and not os.path.exists("go"):
        time.sleep(0.02)
else:
    open("text", "w").close()
    os.chmod("text", 0o755)
    for program in ("nowhere", "./text"):
        try:
            os.execv(program, [program])
        except OSError as error:
            print(type(error).__name__)
    drop()
    gc.collect()
    kept = keep()
    os.execlp("python", "python", sys.argv[0], "again", "wait" if os.path.isdir("spool") else "go")
"""


def test_replaced_by_another_program(tmp_path: Path) -> None:
    """A process says its last word before another program takes its place, and goes on where none can."""
    program = script(tmp_path, REPLACED)
    done = poolwatch("run", "--report", "r.json", "--interval", "60", "--", "python", program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "FileNotFoundError\nOSError\n"), done.stderr
    report = reported(tmp_path / "r.json")
    assert kinds(report) == ["leak.collected"]
    first, second = sorted(report["processes"], key=lambda process: process["started_at"])
    assert first["pid"] == second["pid"]
    assert first["ended_at"] <= second["ended_at"]


def test_what_was_replaced_holds_nothing(tmp_path: Path) -> None:
    """The program that took a process's place is not shown with the connections of the one before."""
    program, spool = script(tmp_path, REPLACED), tmp_path / "spool"
    run = start("run", "--dir", spool, "--", "python", program, cwd=tmp_path)
    until(lambda: len(list(spool.glob("*.json"))) == 2)
    now = Gathering(str(spool)).running()
    (tmp_path / "go").touch()
    run.communicate(timeout=60)
    assert (len(now["processes"]), now["leases"], sum(pool["used"] for pool in now["pools"])) == (2, [], 0)


BEATS = """
import threading, time
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db", pool_size=9)
kept = engine.connect() if {kept} else None
def beat():
    while True:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
            time.sleep(0.05)
def stand():
    with engine.connect():
        time.sleep(60)
for _ in range(3):
    threading.Thread(target=stand if {kept} else beat, daemon=True).start()
time.sleep(0.6)
"""


@pytest.mark.parametrize(("kept", "held"), [(False, 0), (True, 4)])
def test_daemon_threads_are_cut_short(tmp_path: Path, kept: bool, held: int) -> None:
    """What daemon threads take and return all the time is out at the end for no fault; what is kept is told."""
    program = script(tmp_path, BEATS.format(kept=kept))
    poolwatch("run", "--report", "r.json", "--", sys.executable, program, cwd=tmp_path)
    assert sum(found["count"] for found in reported(tmp_path / "r.json")["findings"]) == held


UNWRITTEN = """
import logging, os, sys
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
import poolwatch
os.mkdir("out")
os.mkdir("elsewhere")
poolwatch.install(report="out/r.json")
os.chdir("elsewhere")
if "gone" in sys.argv:
    os.rmdir("../out")
if "twice" in sys.argv:
    import atexit
    atexit._run_exitfuncs()
    os._exit(5)
sys.exit(5)
"""


@pytest.mark.parametrize("how", ["", "gone", "gone twice"])
def test_report_that_cannot_be_written_is_logged(tmp_path: Path, how: str) -> None:
    """Where the report goes is settled at install; what fails at the end is one warning, and changes nothing else."""
    command = [sys.executable, script(tmp_path, UNWRITTEN), *how.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    target = tmp_path / "out" / "r.json"
    reason = f"WARNING poolwatch the report could not be written to {target}: No such file or directory"
    assert (done.returncode, done.stderr.splitlines()) == (5, [reason] if how else [])
    assert target.exists() is not bool(how)
