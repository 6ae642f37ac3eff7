"""Who took a connection: thread, task or greenlet, by name and number; and whether it has ended."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import runpy
import subprocess
import sys
import textwrap
import threading
import time
from _thread import start_new_thread
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import greenlet
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import poolwatch
from poolwatch.model import Lease, Owner
from poolwatch.senses import actor


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to."""
    watch = poolwatch.install(interval=60)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use; what is out at the end is closed."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool, connect_args={"check_same_thread": False}
    )
    yield engine
    engine.dispose()


class Taken:
    """Connections that were taken, to be closed at the end."""

    def __init__(self, watch: poolwatch.Watch, engine: Engine) -> None:
        self.watch = watch
        self.engine = engine
        self.connections: list[Any] = []

    def take(self) -> Lease:
        """Take a connection and give its lease as poolwatch sees it now."""
        self.connections.append(self.engine.connect())
        return self.leases()[-1]

    def leases(self) -> list[Lease]:
        """Give the leases that are out, in the order they were taken."""
        return sorted(self.watch.snapshot().leases, key=lambda lease: -lease.age_seconds)

    def owner(self) -> Owner:
        """Give the owner of the last lease as it is now."""
        return self.leases()[-1].owner


@pytest.fixture
def taken(watch: poolwatch.Watch, engine: Engine) -> Iterator[Taken]:
    """Give a place for connections."""
    taken = Taken(watch, engine)
    yield taken
    while taken.connections:
        taken.connections.pop().close()


def ended(taken: Taken) -> Owner:
    """Give the owner of the last lease once it has ended; waits at most 2 s."""
    until = time.monotonic() + 2
    while taken.owner().alive and time.monotonic() < until:
        time.sleep(0.005)
    return taken.owner()


def test_main_thread(taken: Taken) -> None:
    """The main thread is a living owner with its name and ident; the site is the line that took."""
    lease = taken.take()
    assert (lease.owner.kind, lease.owner.thread) == ("thread", "MainThread")
    assert lease.owner.thread_id == threading.get_ident()
    assert lease.owner.alive
    assert lease.site is not None
    assert (Path(lease.site.file).name, lease.site.function.split(".")[-1]) == ("test_owner.py", "take")
    assert lease.user == lease.owner


def test_named_thread_ends(taken: Taken) -> None:
    """A thread is known by its name, while it lives and after."""
    thread = threading.Thread(target=taken.take, name="invoices")
    thread.start()
    thread.join()
    owner = ended(taken)
    assert (owner.kind, owner.thread, owner.alive) == ("thread", "invoices", False)


def test_ident_is_reused(taken: Taken) -> None:
    """Threads that get the ident of a dead one are owners of their own, and do not bring it back to life."""
    for number in range(30):
        thread = threading.Thread(target=taken.take, name=f"worker-{number}")
        thread.start()
        thread.join()
    owners = [lease.owner for lease in taken.leases()]
    assert len({owner.key for owner in owners}) == 30
    assert [owner.thread for owner in owners] == [f"worker-{number}" for number in range(30)]
    assert len({owner.thread_id for owner in owners}) < 30, "no ident was reused: the test shows nothing"
    assert not any(owner.alive for owner in owners)


def test_lowlevel_thread(taken: Taken) -> None:
    """A thread without a Thread object is an owner, is no dummy in the host's list, and ends."""
    done = threading.Event()
    before = threading.enumerate()

    def work() -> None:
        taken.take()
        assert threading.enumerate() == before
        done.set()

    start_new_thread(work, ())
    assert done.wait(30)
    owner = ended(taken)
    assert (owner.kind, owner.alive) == ("thread", False)
    # Python may still list the dummy of an earlier thread that had the same number
    assert str(owner.thread_id) in owner.thread or owner.thread.startswith("Dummy-")


def test_foreign_thread(taken: Taken) -> None:
    """A thread that C started and Python only visits is an owner, and ends when it does."""
    call = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: taken.take() and None)
    system = ctypes.CDLL(None)
    ident = ctypes.c_ulong()
    assert system.pthread_create(ctypes.byref(ident), None, call, None) == 0
    system.pthread_join(ident, None)
    owner = ended(taken)
    assert (owner.kind, owner.alive) == ("thread", False)


def test_task_of_a_lowlevel_thread(taken: Taken) -> None:
    """A task that nobody will ever go on with, because the thread of its loop is gone, has ended."""
    kept: list[object] = []
    done = threading.Event()

    async def wait() -> None:
        taken.take()
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    def work() -> None:
        loop = asyncio.SelectorEventLoop()
        kept.extend((loop, loop.create_task(wait())))
        loop.run_forever()
        done.set()

    start_new_thread(work, ())
    assert done.wait(30)
    owner = ended(taken)
    assert (owner.kind, owner.alive) == ("task", False)
    loop, task = kept
    task.cancel()  # type: ignore[attr-defined]
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)  # type: ignore[attr-defined]
    loop.close()  # type: ignore[attr-defined]


def test_thread_that_c_calls_back_from(taken: Taken) -> None:
    """C's thread has thread locals of its own in each call back; it is one owner, until the system has ended it."""
    called, go, gone = threading.Event(), threading.Event(), threading.Event()

    def thread() -> None:
        for _ in range(2):
            taken.take()
            vars(actor._here).clear()  # as Python does where the outermost call back returns
            called.set()
            go.wait(30)
        gone.set()

    start_new_thread(thread, ())
    assert called.wait(30)
    time.sleep(0.05)
    assert taken.owner().alive
    go.set()
    assert gone.wait(30)
    assert not ended(taken).alive
    first, second = taken.leases()
    assert first.owner.key == second.owner.key


def test_executor_thread_lives_on(taken: Taken) -> None:
    """A worker of a pool is alive after its job, and ends with the pool."""
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as executor:
        assert executor.submit(taken.take).result().owner.thread == "pool_0"
        assert taken.owner().alive
    assert not ended(taken).alive


async def _gather(body: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(body(), body())


async def _wait_for(body: Callable[[], Awaitable[None]]) -> None:
    await asyncio.wait_for(asyncio.ensure_future(body()), 5)


async def _group(body: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined, unused-ignore]
        group.create_task(body())


async def _eager(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
    await asyncio.create_task(body())  # type: ignore[arg-type]


_STARTERS = [
    pytest.param(_gather, id="gather"),
    pytest.param(_wait_for, id="wait_for"),
    pytest.param(_group, id="TaskGroup", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="3.11")),
    pytest.param(_eager, id="eager", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12")),
]


@pytest.mark.parametrize("start", _STARTERS)
def test_task(start: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]], taken: Taken) -> None:
    """A task is known by name, coroutine and loop; it is alive while it runs and ended when it is done."""

    async def job() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(f"job-{len(taken.connections)}")
        owner = taken.take().owner
        assert (owner.kind, owner.alive, owner.thread) == ("task", True, "MainThread")
        assert owner.task is not None
        assert owner.task.startswith("job-")
        assert owner.task.endswith("job")
        assert owner.loop is not None

    async def main() -> None:
        await start(job)
        await asyncio.sleep(0)
        owners = [lease.owner for lease in taken.leases()]
        assert owners
        assert len({owner.key for owner in owners}) == len(owners)
        assert not any(owner.alive for owner in owners)

    asyncio.run(main())


def test_task_named_late(taken: Taken) -> None:
    """A task that lives is known by the name that it has now, whatever it was called when it was first seen."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        for name in (task.get_name(), "sweeper"):
            task.set_name(name)
            assert str(taken.take().owner.task).startswith(f"{name} ")
        assert len({lease.owner.key for lease in taken.leases()}) == 1

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12")
def test_eager_task_named_late(taken: Taken) -> None:
    """A task whose first step runs before it has got its name keeps the name, though nobody asked while it lived."""

    async def job() -> None:
        taken.connections.append(taken.engine.connect())
        await asyncio.sleep(0)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined, unused-ignore]
            group.create_task(job(), name="leaky")
        (lease,) = taken.leases()
        assert str(lease.owner.task).startswith("leaky ")

    asyncio.run(main())


def test_task_of_a_closed_loop(taken: Taken) -> None:
    """A task that never ran to its end is over when its loop is closed."""
    loop = asyncio.new_event_loop()

    async def forever() -> None:
        taken.take()
        await asyncio.Event().wait()

    task = loop.create_task(forever())
    loop.run_until_complete(asyncio.sleep(0))
    assert taken.owner().alive
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert not taken.owner().alive


def test_greenlet(taken: Taken) -> None:
    """A greenlet of the user's own is an owner; it is over when its function returns or it is collected."""
    worker = greenlet.greenlet(lambda: (taken.take(), greenlet.getcurrent().parent.switch()))
    worker.switch()
    owner = taken.owner()
    assert (owner.kind, owner.alive, owner.thread) == ("greenlet", True, "MainThread")
    worker.switch()
    assert not taken.owner().alive
    forgotten = greenlet.greenlet(lambda: (taken.take(), greenlet.getcurrent().parent.switch()))
    forgotten.switch()
    assert taken.owner().alive
    del forgotten
    gc.collect()
    assert not taken.owner().alive


def test_async_engine(tmp_path: Path, watch: poolwatch.Watch) -> None:
    """Under SQLAlchemy's greenlets the owner is the task, the site and the stack are the application's."""
    found: list[Lease] = []

    async def handler(engine: Any) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            found.extend(watch.snapshot().leases)

    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db")
        await asyncio.create_task(handler(engine), name="GET /orders")
        await engine.dispose()

    asyncio.run(main())
    (lease,) = found
    assert lease.owner.kind == "task"
    assert lease.owner.task is not None
    assert lease.owner.task.startswith("GET /orders ")
    assert lease.user.key == lease.owner.key
    assert lease.statements == 1
    assert lease.site is not None
    assert (Path(lease.site.file).name, lease.site.function.split(".")[-1]) == ("test_owner.py", "handler")


def test_site_is_never_generated_code(taken: Taken, tmp_path: Path) -> None:
    """Where generated methods of a program's own classes take, the site is the line that called them."""
    attrs = pytest.importorskip("attrs")
    app = tmp_path / "app.py"
    app.write_text(
        "import dataclasses\n"
        "@dataclasses.dataclass\n"
        "class Repository:\n"
        "    connection: object = dataclasses.field(default_factory=take)\n"
        "def main():\n"
        "    return Repository().connection\n"
        "def main_attrs():\n"
        "    return attrs.make_class('Repository', {'connection': attrs.field(factory=take)})().connection\n"
        "found = [main(), main_attrs()]\n"
    )

    names = {"take": taken.engine.connect, "attrs": attrs}
    taken.connections += runpy.run_path(str(app), names, run_name="__main__")["found"]
    sites = [(lease.site.file, lease.site.line, lease.site.function) for lease in taken.leases() if lease.site]
    assert sites == [(str(app), 6, "main"), (str(app), 8, "main_attrs")]


def test_in_a_finalizer(taken: Taken) -> None:
    """A connection taken and given back inside ``__del__`` is owned by whoever runs the collector."""
    seen: list[str] = []

    class Late:
        def __del__(self) -> None:
            seen.append(taken.take().owner.thread)

    cycle: list[Any] = [Late()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert seen == ["MainThread"]
    assert taken.watch.snapshot().process.hook_errors == {}


def test_tables_do_not_grow(taken: Taken) -> None:
    """Twenty thousand tasks and two thousand greenlets leave nothing in the tables of who runs here."""
    with taken.engine.connect():
        pass
    gc.collect()
    tables = (actor._tasks, actor._greenlets, actor._loops)
    before = list(map(len, tables))

    async def one() -> None:
        actor.current()

    async def main() -> None:
        for _ in range(20):
            await asyncio.gather(*(one() for _ in range(1000)))

    asyncio.run(main())
    for _ in range(2000):
        greenlet.greenlet(actor.current).switch()
    gc.collect()
    assert [len(table) - size for table, size in zip(tables, before, strict=True) if len(table) > size] == []


def run(program: str, folder: Path) -> str:
    """Run a program with warnings as errors; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_gevent(tmp_path: Path) -> None:
    """Under gevent's patches the owner is the greenlet; the watcher is a real thread and sees a blocked hub."""
    pytest.importorskip("gevent")
    printed = run(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent, time, poolwatch
        from sqlalchemy import create_engine
        watch = poolwatch.install(interval=0.02, grace=0.05)
        engine = create_engine("sqlite:///shop.db", connect_args={"check_same_thread": False})
        kept = []
        worker = gevent.spawn(lambda: kept.append(engine.connect()))
        worker.join()
        (lease,) = watch.snapshot().leases
        print(lease.owner.kind, lease.owner.alive, lease.owner.thread)
        looks = watch._watcher._looks.cpu_seconds
        real_sleep = monkey.get_original("time", "sleep")
        deadline = time.monotonic() + 30
        while not watch.snapshot().findings and time.monotonic() < deadline:
            real_sleep(0.02)  # the hub is blocked: no greenlet runs
        print(watch._watcher._looks.cpu_seconds > looks, [f.kind for f in watch.snapshot().findings])
        kept.pop().close()
        engine.dispose()
        """,
        tmp_path,
    )
    assert printed.splitlines() == ["greenlet False MainThread", "True ['leak.owner_ended']"]


def test_names_of_greenlets(tmp_path: Path) -> None:
    """A greenlet has the name of the thread it is, or its own, or one with a number that no other greenlet gets."""
    pytest.importorskip("gevent")
    printed = run(
        """
        from gevent import monkey
        monkey.patch_all()
        import gevent, greenlet, threading, poolwatch
        from sqlalchemy import create_engine
        watch = poolwatch.install(interval=60)
        engine = create_engine("sqlite:///shop.db", pool_size=20, connect_args={"check_same_thread": False})
        kept = []
        class Mailer(gevent.Greenlet):
            def _run(self):
                take()
        def take():
            kept.append(engine.connect())
        def take_named(late):
            if late:
                take()
            gevent.getcurrent().name = "sweeper"
            if not late:
                take()
            watch.snapshot()
        def take_renamed():
            take()
            threading.current_thread().name = "biller"
            watch.snapshot()
        def take_with_dummy():
            threading.current_thread()  # gevent makes one up, as for a record of logging
            take()
        threading.Thread(target=take, name="clerk").start()
        gevent.sleep(0)
        for start in (
            lambda: threading.Thread(target=take_renamed, name="worker").start(),
            lambda: gevent.spawn(take), lambda: gevent.spawn(take),
            lambda: gevent.spawn(take_named, False), lambda: gevent.spawn(take_named, True),
            lambda: gevent.spawn(take_with_dummy), lambda: Mailer().start(),
            lambda: greenlet.greenlet(take).switch(),
        ):
            start()
            gevent.sleep(0.001)
        for lease in sorted(watch.snapshot().leases, key=lambda lease: lease.id):
            print(lease.owner.alive, lease.owner.greenlet.replace(str(lease.owner.key), "N"))
            kept.pop().close()
        engine.dispose()
        """,
        tmp_path,
    )
    assert printed.splitlines() == [
        "False clerk", "False biller", "False Greenlet-N take", "False Greenlet-N take", "False sweeper",
        "False sweeper", "False Greenlet-N take_with_dummy", "False Mailer-N Mailer._run", "False greenlet-N",
    ]  # fmt: skip


def test_after_fork(tmp_path: Path) -> None:
    """In a forked child the owner is of the child's process, and the thread that forked is its main thread."""
    printed = run(
        """
        import os, threading, poolwatch
        from sqlalchemy import create_engine
        watch = poolwatch.install(interval=0.02)
        engine = create_engine("sqlite:///shop.db")
        with engine.connect():
            pid = os.fork()
            if pid == 0:
                engine.dispose(close=False)
                with engine.connect():
                    (lease,) = watch.snapshot().leases
                    print(lease.owner.pid == os.getpid(), lease.owner.thread, lease.owner.alive, flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
            (lease,) = watch.snapshot().leases
            print(lease.owner.pid == os.getpid(), lease.owner.thread, lease.owner.alive)
        engine.dispose()
        """,
        tmp_path,
    )
    assert printed.splitlines() == ["True MainThread True"] * 2


def test_at_exit(tmp_path: Path) -> None:
    """Connections taken while the interpreter shuts down, by exit functions and finalizers, break nothing."""
    printed = run(
        """
        import atexit, poolwatch
        from sqlalchemy import NullPool, create_engine
        engine = create_engine("sqlite:///shop.db", poolclass=NullPool)
        watch = poolwatch.install()
        class Late:
            def __del__(self):
                with engine.connect() as connection:
                    print(connection.exec_driver_sql("select 1").scalar())
        def last():
            with engine.connect():
                print(watch.snapshot().leases[0].owner.thread)
        atexit.register(last)
        late = Late()
        late.self = late
        """,
        tmp_path,
    )
    assert printed.splitlines()[0] == "MainThread"
