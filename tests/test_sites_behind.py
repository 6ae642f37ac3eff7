"""Which line a connection is said to be taken at, where nothing of the application's is in the task or thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.event import listen
from sqlalchemy.exc import TimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

import poolwatch
from poolwatch.model import Frame, Site
from tests.launcher import until
from tests.servers import Server

FILE = str(Path(__file__))
Way = Callable[[AsyncEngine], Awaitable[AsyncConnection]]


async def by_wait_for(engine: AsyncEngine) -> Any:
    return await asyncio.wait_for(engine.connect().start(), 30)


async def by_gather(engine: AsyncEngine) -> Any:
    return (await asyncio.gather(engine.connect().start(), asyncio.sleep(0)))[0]


async def by_gather_in_a_task(engine: AsyncEngine) -> Any:
    return (await asyncio.create_task(asyncio.wait_for(asyncio.gather(engine.connect().start()), 30)))[0]


async def by_task(engine: AsyncEngine) -> Any:
    return await asyncio.create_task(engine.connect().start())


async def by_shield(engine: AsyncEngine) -> Any:
    return await asyncio.shield(asyncio.create_task(engine.connect().start()))


async def by_wait(engine: AsyncEngine) -> Any:
    return (await asyncio.wait([asyncio.create_task(engine.connect().start())]))[0].pop().result()


async def by_as_completed(engine: AsyncEngine) -> Any:
    return await next(asyncio.as_completed([engine.connect().start()]))


WAYS = [by_wait_for, by_gather, by_gather_in_a_task, by_task, by_shield, by_wait, by_as_completed]
"""Each has one line, which the connection is taken at."""


class Frameless(asyncio.SelectorEventLoop):
    """Runs callbacks as uvloop does: without a frame between a task and what runs the loop."""

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = _Frameless(callback, args, self, context)
        handle._run = partial(handle._context.run, callback, *args)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle


class _Frameless(asyncio.Handle):
    __slots__ = ("_run",)
    _context: Any


def in_new_loop(make: Callable[[], asyncio.AbstractEventLoop], work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work``, from a frame of the application."""
    loop = make()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/shop.db"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url, any_thread = f"sqlite:///{tmp_path}/shop.db", {"check_same_thread": False}
    engine = create_engine(url, connect_args=any_thread)
    yield engine
    engine.dispose()


def site(watch: poolwatch.Watch) -> Site:
    (lease,) = watch.snapshot().leases
    assert lease.site is not None
    return lease.site


def line() -> int:
    """Give the line of the caller."""
    return sys._getframe(1).f_lineno


def only_line(code: CodeType) -> tuple[str, int]:
    """Give where the one line of a function is."""
    return code.co_filename, code.co_firstlineno + 1


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, Frameless])
@pytest.mark.parametrize("way", WAYS)
def test_who_awaits_a_task(watch: poolwatch.Watch, url: str, way: Any, loop: Any) -> None:
    """What a task of the library's takes is taken where the application awaits it, time and again."""

    async def main() -> None:
        for _ in range(2):
            engine = create_async_engine(url)
            connection = await asyncio.create_task(way(engine))
            found = site(watch)
            assert (found.file, found.line) == only_line(way.__code__)
            await connection.close()
            await engine.dispose()

    in_new_loop(loop, main)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Give a loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Elsewhere(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Elsewhere:
    """A loop that works on what it is given once somebody waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.go_on = threading.Event()

    def work(self, work: Any) -> Any:
        self.go_on.clear()
        self.loop.call_soon_threadsafe(self.go_on.wait, 30)
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def go_on_when_waited_for(self, ident: int) -> None:
        until(lambda: getattr(sys._current_frames()[ident].f_back, "f_code", None) is Future.result.__code__)
        self.go_on.set()


async def by_another_loop(elsewhere: Elsewhere, engine: AsyncEngine) -> Any:
    asyncio.get_running_loop().call_soon(elsewhere.go_on.set)
    return await asyncio.wrap_future(elsewhere.work(engine.connect().start()))


def test_a_task_of_another_loop(watch: poolwatch.Watch, url: str, elsewhere: Elsewhere) -> None:
    """What is handed to another thread's loop is taken where it is awaited, be it by a task or by a thread."""
    engine = create_async_engine(url)
    connection = asyncio.run(by_another_loop(elsewhere, engine))
    assert (site(watch).file, site(watch).line) == (FILE, by_another_loop.__code__.co_firstlineno + 2)
    elsewhere.go_on.set()
    asyncio.run_coroutine_threadsafe(connection.close(), elsewhere.loop).result()
    opener = threading.Thread(target=elsewhere.go_on_when_waited_for, args=[threading.get_ident()])
    future = elsewhere.work(engine.connect().start())
    opener.start()
    connection, expected = future.result(), line()
    assert (site(watch).file, site(watch).line) == (FILE, expected)
    asyncio.run_coroutine_threadsafe(connection.close(), elsewhere.loop).result()
    asyncio.run_coroutine_threadsafe(engine.dispose(), elsewhere.loop).result()
    opener.join()


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, Frameless])
def test_nobody_awaits_a_task(watch: poolwatch.Watch, url: str, loop: Any) -> None:
    """Where nobody awaits it yet, the line is what was called; never that which runs the loop, or some other's."""

    async def main() -> None:
        engine = create_async_engine(url)
        task = asyncio.create_task(engine.connect().start())
        task.add_done_callback(asyncio.create_task(asyncio.sleep(0)).cancel)
        while not task.done():
            await asyncio.sleep(0)
        assert site(watch).function.rpartition(".")[2] == "start"
        await task.result().close()
        await engine.dispose()

    in_new_loop(loop, main)


@pytest.mark.skipif(not hasattr(asyncio, "TaskGroup"), reason="Python 3.10 has no task groups")
def test_what_a_loop_is_run_for(watch: poolwatch.Watch, url: str) -> None:
    """A library's coroutine that a loop is run for is taken by whoever has it run."""
    engine = create_async_engine(url)
    with asyncio.Runner() if sys.version_info >= (3, 11) else closing(asyncio.new_event_loop()) as runner:
        run = getattr(runner, "run", None) or runner.run_until_complete
        kept, at = run(engine.connect().start()), line()
        assert (site(watch).file, site(watch).line) == (FILE, at)
        run(kept.close())
        run(engine.dispose())


def test_a_group_of_tasks(watch: poolwatch.Watch, url: str) -> None:
    """What a task of a group takes is taken where the group is left, which awaits it; before that, nobody does."""

    async def main() -> None:
        engine = create_async_engine(url)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(engine.connect().start())
        found = site(watch)
        assert (found.file, found.function.rpartition(".")[2]) == (FILE, "main")
        await task.result().close()
        await engine.dispose()

    asyncio.run(main())


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="tasks are eager from Python 3.12 on")
def test_eager_task(watch: poolwatch.Watch, url: str) -> None:
    """What a task takes in its first step inside the call that makes it is taken there."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        engine = create_async_engine(url)
        await (await asyncio.create_task(engine.connect().start())).close()  # the next connects to nothing
        connection = await by_task(engine)
        found = site(watch)
        assert (found.file, found.line) == only_line(by_task.__code__)
        await connection.close()
        await engine.dispose()

    asyncio.run(main())


def submits(engine: Engine) -> Any:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(engine.connect).result()


def leaves_to_a_thread(engine: Engine) -> Any:
    return asyncio.run(to_thread(engine))


async def to_thread(engine: Engine) -> Any:
    return await asyncio.to_thread(engine.connect)


def leaves_to_a_task(engine: Engine) -> Any:
    return asyncio.run(task_to_thread(engine))


async def task_to_thread(engine: Engine) -> Any:
    return await asyncio.create_task(asyncio.to_thread(engine.connect))


@pytest.mark.parametrize(
    ("way", "line"),
    [(submits, (submits, 2)), (leaves_to_a_thread, (to_thread, 1)), (leaves_to_a_task, (task_to_thread, 1))],
)
def test_who_submits(watch: poolwatch.Watch, engine: Engine, way: Any, line: Any) -> None:
    """What a work item takes that is the library's own is taken where it was submitted."""
    connection = way(engine)
    found = site(watch)
    assert (found.file, found.line) == (FILE, line[0].__code__.co_firstlineno + line[1])
    connection.close()


def test_each_line_that_submits(watch: poolwatch.Watch, engine: Engine) -> None:
    """Two lines that submit the same are two sites, and a thread's own callable is no line of ``threading``."""
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(engine.connect)
        second = executor.submit(engine.connect)
    lines = {lease.site.line for lease in watch.snapshot().leases if lease.site is not None}
    assert lines == {only_line(test_each_line_that_submits.__code__)[1] + 2 + at for at in (0, 1)}
    first.result().close()
    second.result().close()


def test_a_thread_of_the_librarys_own(watch: poolwatch.Watch, engine: Engine) -> None:
    """What a thread takes whose target is the library's is taken where it was started."""
    found: list[tuple[str, int]] = []

    def note(*_: object) -> None:
        found.append((site(watch).file, site(watch).line))

    listen(engine, "engine_connect", note)
    thread = threading.Thread(target=engine.connect)
    thread.start()
    here = line() - 1
    thread.join()
    assert found == [(FILE, here)]


def lines(frames: tuple[Frame, ...]) -> list[int]:
    """Give the lines of a stack in this file."""
    return [frame.line for frame in frames if frame.file == FILE]


async def shares(engine: AsyncEngine) -> list[Any]:
    async with AsyncSession(engine) as session:
        return await asyncio.gather(*(session.execute(text("SELECT 1")) for _ in range(2)), return_exceptions=True)


async def shares_and_ends(engine: AsyncEngine) -> None:
    await shares(engine)
    await engine.dispose()


def test_crossing(watch: poolwatch.Watch, url: str) -> None:
    """Of two tasks that work on one session, both stacks show who awaits them."""
    asyncio.run(shares_and_ends(create_async_engine(url)))
    found = next(finding for finding in watch.findings() if finding.kind == "crossing.session")
    here = shares.__code__.co_firstlineno + 2
    assert (found.site and found.site.line) == here
    assert [lines(found.stacks[name])[:1] for name in ("checkout", "last_use")] == [[here], [here]]


async def waits(engine: AsyncEngine) -> list[Any]:
    return await asyncio.gather(*(engine.connect().start() for _ in range(2)), return_exceptions=True)


def test_wait(watch: poolwatch.Watch, url: str) -> None:
    """So it is with tasks that wait for the pool, and with who holds it meanwhile."""

    async def main() -> None:
        engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
        connection, error = await waits(engine)
        assert isinstance(error, TimeoutError)
        (found,) = [finding for finding in watch.findings() if finding.kind == "starvation.exhausted"]
        assert found.lease is not None
        for side in ("holders", "waiters"):
            assert [one["site"].split()[0] for one in found.lease[side]] == [f"{FILE}:{only_line(waits.__code__)[1]}"]
        await connection.close()
        await engine.dispose()

    asyncio.run(main())


def test_fiber(watch: poolwatch.Watch, postgres: Server) -> None:
    """A fiber gives back what it took by way of a task of the library's own."""
    kept: list[Any] = []

    async def work(pool: AsyncConnectionPool) -> None:
        async with poolwatch.fiber():
            kept.append(await asyncio.wait_for(pool.getconn(), 30))
            kept.append(await asyncio.create_task(pool.getconn()))

    async def main() -> None:
        async with AsyncConnectionPool(postgres.dsn, min_size=2, max_size=2, open=False) as pool:
            await asyncio.create_task(work(pool))
            assert len(kept) == 2
            assert pool.get_stats()["pool_available"] == 2

    asyncio.run(main())
    remedied = [finding for finding in watch.findings() if "fiber" in str(finding.resolution)]
    assert {finding.site.line for finding in remedied if finding.site} == {
        work.__code__.co_firstlineno + at for at in (2, 3)
    }
