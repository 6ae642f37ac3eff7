"""Log handlers and alert functions are the application's: they may wait, raise or use a pool, and hold nobody up."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import poolwatch
from poolwatch.host import native, speech
from tests.launcher import environment, kinds, reported, script, until

WATCH = {"interval": 60}
LONG = 30.0

IN_THE_DATABASE = """
{first}
import gc, logging, os, threading, time
import poolwatch
from sqlalchemy import create_engine, text
poolwatch.install(interval=0.05, starved_after=0.1, report="r.json")
log_pool = create_engine(
    "sqlite:///log.db", pool_size=1, max_overflow=0, pool_timeout=60, connect_args={{"check_same_thread": False}}
)
shop = create_engine("sqlite:///shop.db")
came = threading.Event()

class Handler(logging.Handler):
    def emit(self, record):
        came.set()
        with log_pool.connect() as connection:
            connection.execute(text("select 1"))

logging.getLogger().addHandler(Handler())
held = log_pool.connect()
shop.connect()
gc.collect()
assert came.wait(30)
time.sleep(0.3)
print(time.time(), flush=True)
"""
"""A program that logs to its database, and holds the only connection of that pool when a finding is logged."""


class Hearing(logging.Handler):
    """Keeps the text of poolwatch's lines; ``treat`` is called before."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.threads: set[int] = set()
        self.treat: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.name.startswith("poolwatch"):
            self.threads.add(threading.get_ident())
            self.lines.append(record.getMessage())
            if self.treat is not None:
                self.treat()


@pytest.fixture
def hearing() -> Iterator[Hearing]:
    """Give a handler of the application's."""
    handler = Hearing()
    logging.getLogger().addHandler(handler)
    yield handler
    handler.treat = None
    logging.getLogger().removeHandler(handler)


def ended(tmp_path: Path, source: str, *words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run a program to its end; gives the seconds that passed after it had printed the time, and what it has said."""
    program = [sys.executable, script(tmp_path, source), *words]
    done = subprocess.run(program, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return time.time() - float(done.stdout.split()[0]), done


@pytest.mark.parametrize("first", ["", "from gevent import monkey; monkey.patch_all()"])
def test_an_application_that_logs_to_its_database(first: str, tmp_path: Path) -> None:
    """A handler that waits for a dry pool holds up neither looks nor the end, and its wait is not the application's."""
    took, _ = ended(tmp_path, IN_THE_DATABASE.format(first=first))
    assert took < LONG, "the handler waits for a minute"
    report = reported(tmp_path / "r.json")
    assert kinds(report) == ["leak.collected", "leak.process_ended"]
    assert report["processes"][0]["hook_errors"] == {}


def test_a_fork_beside_a_handler_that_hangs(tmp_path: Path) -> None:
    """Forks are held up for a second once, and what a child logs does not hang on what its parent does."""
    forks = """
began = time.monotonic()
for _ in range(4):
    if not os.fork():
        logging.getLogger().handlers.clear()
        logging.warning("in the child")
        os._exit(0)
    assert os.wait()[1] == 0
assert time.monotonic() - began < 20
"""
    took, _ = ended(tmp_path, IN_THE_DATABASE.format(first="") + forks)
    assert took < LONG


@pytest.mark.parametrize("how", ["softly", "hard"])
def test_the_last_lines_are_said_in_order(how: str, tmp_path: Path) -> None:
    """What the last look finds is logged before the process is over, one line after another."""
    source = """
    import logging, os, sys, time
    import poolwatch
    from sqlalchemy import create_engine
    poolwatch.install(interval=60)
    logging.basicConfig(format="%(name)s %(message)s")
    kept = [create_engine(f"sqlite:///{n}.db", pool_logging_name=f"pool-{n}") for n in range(3)]
    kept += [engine.connect() for engine in kept]
    print(time.time(), flush=True)
    if sys.argv[1] == "hard":
        os._exit(0)
    """
    _, done = ended(tmp_path, source, how)
    said = [line.partition(": ")[0] for line in done.stderr.splitlines()]
    assert [line.split()[:2] for line in said] == [["poolwatch.findings", "leak.process_ended"]] * 3
    assert [line.rpartition(" on pool ")[2] for line in said] == ["pool-0", "pool-1", "pool-2"]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_handler_that_raises(error: type[BaseException], watch: poolwatch.Watch, hearing: Hearing) -> None:
    """Whatever the application's handler raises is no failure of poolwatch's, and the next lines are said too."""

    def fail() -> None:
        raise error

    hearing.treat = fail
    log = speech.Log("poolwatch.findings")
    for number in range(3):
        log.warning("line %s", number)
    speech.finish(LONG)
    assert hearing.lines == ["line 0", "line 1", "line 2"]
    watch.findings()
    assert watch.snapshot().process.hook_errors == {}
    assert threading.get_ident() not in hearing.threads
    assert len(hearing.threads) == 1


def test_what_does_not_fit_is_counted(watch: poolwatch.Watch, hearing: Hearing) -> None:
    """While a handler hangs, so many lines wait; who says more does not wait, and the others are counted."""
    free = threading.Event()
    hearing.treat = lambda: free.wait(LONG)
    log = speech.Log("poolwatch.findings")
    for number in range(1003):
        log.warning("line %s", number)
    assert watch.snapshot().process.dropped == {"log_lines": 3}
    free.set()
    speech.finish(LONG)
    assert hearing.lines == [f"line {number}" for number in range(1000)]


def test_no_thread_is_left(hearing: Hearing) -> None:
    """The thread that speaks says what waits and ends with ``uninstall``; then each thread speaks for itself."""
    before = set(native.own_threads)
    watch = poolwatch.install(**WATCH)
    log = speech.Log("poolwatch")
    log.error("while watched")
    watch.uninstall()
    assert hearing.lines == ["while watched"]
    until(lambda: native.own_threads <= before)
    log.error("afterwards")
    assert hearing.lines == ["while watched", "afterwards"]
    assert threading.get_ident() in hearing.threads


def test_uninstall_beside_a_handler_that_hangs(hearing: Hearing) -> None:
    """Who takes poolwatch out waits a second at most; the thread ends when the handler lets it."""
    free = threading.Event()
    hearing.treat = lambda: free.wait(LONG)
    before = set(native.own_threads)
    watch = poolwatch.install(**WATCH)
    speech.Log("poolwatch").error("line")
    until(lambda: hearing.lines)
    began = time.monotonic()
    watch.uninstall()
    assert time.monotonic() - began < LONG / 2
    free.set()
    until(lambda: native.own_threads <= before)


def test_an_error_is_said_without_its_frames(watch: poolwatch.Watch, hearing: Hearing) -> None:
    """A line about an error has its text, and keeps nothing that its frames hold while it waits."""
    free, records = threading.Event(), []
    hearing.treat = lambda: free.wait(LONG)
    hearing.addFilter(lambda record: records.append(record) or True)

    class Held:
        """Something of the application's."""

    def fail() -> None:
        held = Held()
        raise ValueError(f"with {type(held).__name__}")

    log = speech.Log("poolwatch.remedies")
    log.warning("this one hangs")
    try:
        fail()
    except ValueError:
        log.exception("it failed")
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Held]
    free.set()
    speech.finish(LONG)
    assert "ValueError: with Held" in records[1].exc_text
    assert records[1].exc_info is None


def test_a_call_that_hangs_is_no_rest_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector rests for a handler's line, but not for as long as that hangs: the next look ends it."""
    monkeypatch.setattr(native, "_LONGEST_REST", 0.01)
    before, found = gc.get_threshold(), []

    def hang() -> None:
        time.sleep(0.02)
        native.with_collector_paused(lambda: None)
        found.append(gc.get_threshold())

    native.with_collector_paused(hang)
    assert found == [before]
    assert gc.get_threshold() == before


def test_an_alert_function_that_hangs_at_the_end(tmp_path: Path) -> None:
    """The application's function is called in no thread of the application's, even for what the last look finds."""
    source = """
    import threading, time
    import poolwatch
    from sqlalchemy import create_engine
    def told(alert):
        print(alert["finding"]["kind"], threading.current_thread() is threading.main_thread(), flush=True)
        time.sleep(60)
    poolwatch.install(alert=told, interval=60)
    kept = create_engine("sqlite:///shop.db").connect()
    print(time.time(), flush=True)
    """
    took, done = ended(tmp_path, source)
    assert took < LONG
    assert done.stdout.split()[1:] == ["leak.process_ended", "False"]
