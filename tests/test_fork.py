"""Fork: the child begins anew, knows what it inherited, and neither process waits for the other's locks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

_HEAD = """
import os, sys, threading, time, poolwatch
from sqlalchemy import create_engine, text
watch = poolwatch.install(interval=0.02, grace=0.05)
engine = create_engine("sqlite:///shop.db", logging_name="shop", connect_args={"check_same_thread": False})
def in_child(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
            sys.stdout.flush()
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
def kinds():
    return sorted(f.kind for f in watch.findings() if f.state == "open")
def shop():
    return [(p.used, p.idle, p.checkouts_total, p.pid == os.getpid()) for p in watch.snapshot().pools]
"""


def run(body: str, folder: Path) -> list[str]:
    """Run a program that forks; gives the lines printed by both processes."""
    program = _HEAD + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_leases_of_the_parent_stay_the_parents(tmp_path: Path) -> None:
    """What the parent holds is out in the parent only; the child's dropping of its copy is no leak there."""
    printed = run(
        """
        held = engine.connect()
        def child():
            global held
            print(sum(p.used for p in watch.snapshot().pools), len(watch.snapshot().leases))
            engine.dispose(close=False)
            with engine.connect():
                print(sum(p.used for p in watch.snapshot().pools), kinds())
        in_child(child)
        print(shop(), kinds())
        held.close()
        """,
        tmp_path,
    )
    assert printed == ["0 0", "1 []", "[(1, 0, 1, True)] []"]


def test_using_an_inherited_connection_is_found(tmp_path: Path) -> None:
    """A connection opened before the fork and used in the child is a crossing of processes, in the child."""
    printed = run(
        """
        engine.connect().close()
        def child():
            with engine.connect() as connection:
                connection.execute(text("select 1"))
            print(kinds())
        in_child(child)
        print(kinds())
        """,
        tmp_path,
    )
    assert printed == ["['crossing.process']", "[]"]


def test_fork_with_threads_at_work(tmp_path: Path) -> None:
    """Forks while other threads check out and in, and the watcher looks, leave no lock behind in any child."""
    printed = run(
        """
        stop = threading.Event()
        def work():
            while not stop.is_set():
                with engine.connect() as connection:
                    connection.execute(text("select 1"))
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        def child():
            other = create_engine("sqlite://")
            with other.connect() as connection:
                connection.execute(text("select 1"))
            assert kinds() == [], kinds()
        for _ in range(20):
            in_child(child)
        stop.set()
        for thread in threads:
            thread.join()
        print(kinds(), watch.snapshot().process.hook_errors)
        """,
        tmp_path,
    )
    assert printed == ["[] {}"]
