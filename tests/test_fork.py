"""Fork: the child begins anew, knows what it inherited, and neither process waits for the other's locks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.launcher import kinds, poolwatch, reported, script
from tests.servers import Server

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


def run(body: str, folder: Path, *flags: str) -> list[str]:
    """Run a program that forks; gives the lines printed by both processes."""
    program = _HEAD + textwrap.dedent(body)
    command = [sys.executable, *flags, "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
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
    """Forks while other threads check out and in, and the watcher looks, leave no lock behind in any child.

    The threads open nothing and run nothing meanwhile: a fork amid that leaves SQLite's own locks behind.
    """
    printed = run(
        """
        stop = threading.Event()
        opened = threading.Barrier(4)
        def work():
            with engine.connect():
                opened.wait()
            opened.wait()
            while not stop.is_set():
                with engine.connect():
                    pass
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        opened.wait()
        opened.wait()
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
        "-Wignore:This process:DeprecationWarning",  # the host's own threads
    )
    assert printed == ["[] {}"]


def test_fork_without_a_warning_and_all_goes_on(tmp_path: Path) -> None:
    """Python has no thread of ours to warn of, and afterwards server and watcher work again in the parent."""
    printed = run(
        """
        import gc, urllib.request
        watch.uninstall()
        gc.disable()
        watch = poolwatch.install(interval=0.02, serve="127.0.0.1:0")
        for _ in range(3):
            in_child(lambda: None)
            print(urllib.request.urlopen(watch._server.url + "healthz", timeout=30).read())
        engine.connect()
        until = time.monotonic() + 30
        while not watch.snapshot().findings and time.monotonic() < until:
            time.sleep(0.01)
        print([f.kind for f in watch.snapshot().findings])
        engine.dispose()
        watch.uninstall()
        print(os.fork.__name__, type(os.fork).__name__)
        """,
        tmp_path,
        "-Werror",
    )
    assert printed == ["b'ok\\n'"] * 3 + ["['leak.collected']", "fork builtin_function_or_method"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns of forks with threads from 3.12 on")
def test_warning_of_the_hosts_threads_is_the_hosts(tmp_path: Path) -> None:
    """The warning of a fork beside the host's own threads names the host's line, as without poolwatch."""
    printed = run(
        """
        import warnings
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            in_child(lambda: None)
        over.set()
        thread.join()
        print([(warning.filename, "multi-threaded" in str(warning.message)) for warning in caught])
        """,
        tmp_path,
    )
    assert printed == ["[('<string>', True)]"]


def test_async_connection_of_the_parent_is_of_another_process(postgres: Server, tmp_path: Path) -> None:
    """That a child has a loop of its own as well is no news: the fork comes first."""
    printed = run(
        f"""
        import asyncio
        from sqlalchemy.ext.asyncio import create_async_engine
        orders = create_async_engine({postgres.url("psycopg")!r}, logging_name="orders")
        async def count():
            async with orders.connect() as connection:
                await connection.execute(text("select 1"))
        async def main():
            await count()
            in_child(child)
        def child():
            asyncio.events._set_running_loop(None)
            try:
                asyncio.new_event_loop().run_until_complete(asyncio.wait_for(count(), 1))
            except BaseException as error:
                pass  # two processes have read from one socket
            print([kind for kind in kinds() if kind.startswith("crossing.")])
            sys.stdout.flush()
            os._exit(0)
        asyncio.run(main())
        """,
        tmp_path,
    )
    assert printed == ["['crossing.process']"]


SPAWNED = """
import os, pty, subprocess, sys, threading, time
from sqlalchemy import create_engine
engine = create_engine("sqlite:///shop.db", pool_size=1, max_overflow=0, pool_timeout=60)
if {how!r} == "forkpty":
    pid, _ = pty.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
else:
    subprocess.run([sys.executable, "-S", "-c", ""], preexec_fn=os.setsid)
kept = engine.connect()
threading.Timer(2.0, os.kill, (os.getpid(), 9)).start()
engine.connect()
"""


@pytest.mark.parametrize("how", ["forkpty", "preexec_fn"])
def test_watched_after_other_forks(tmp_path: Path, how: str) -> None:
    """Whoever waits for ever is seen to, where the process has forked in another way than by ``os.fork``."""
    program = script(tmp_path, SPAWNED.format(how=how))
    poolwatch("run", "--report", "r.json", "--", sys.executable, "-W", "ignore", program, cwd=tmp_path)
    assert "starvation.self_deadlock" in kinds(reported(tmp_path / "r.json"))
