"""Fibers: what was taken in the block is back at its end, however it ends, and what had to be given back is told."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio.to_thread
import asyncpg
import gevent
import pytest
from greenlet import GreenletExit, greenlet
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.errors import LeakError
from poolwatch.ledger.totals import News
from tests.servers import Server

KEPT: list[Any] = []
"""Keeps what was taken, as a cache of an application's would."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let go of what a test kept."""
    yield
    KEPT.clear()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine on a file with one connection."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0, pool_timeout=0.1)
    yield engine
    engine.dispose()


def take(engine: Engine) -> None:
    """Take a connection and keep it."""
    connection = engine.connect()
    connection.execute(text("select 1"))
    KEPT.append(connection)


def remedied(watch: poolwatch.Watch) -> poolwatch.Finding:
    """Look, and give the only finding, which must be a leak that was remedied."""
    (finding,) = watch.findings()
    assert (finding.kind, finding.grade, finding.state) == ("leak.owner_ended", "proved", "resolved")
    assert finding.resolution == "returned by poolwatch.fiber at the end"
    assert watch.snapshot().process.remedies == {"fiber": finding.count}
    return finding


def returns(engine: Engine) -> None:
    with poolwatch.fiber():
        take(engine)


def fails(engine: Engine) -> None:
    def work() -> None:
        with poolwatch.fiber():
            take(engine)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def decorated(engine: Engine) -> None:
    poolwatch.fiber()(take)(engine)


def killed_greenlet(engine: Engine) -> None:
    def work() -> None:
        with poolwatch.fiber():
            take(engine)
            child.parent.switch()

    child = greenlet(work)
    child.switch()
    child.throw(GreenletExit)


def dropped_greenlet(engine: Engine) -> None:
    def work(parent: Any) -> None:
        with poolwatch.fiber():
            take(engine)
            parent.switch()

    child = greenlet(work)
    child.switch(child.parent)
    del child


def killed_gevent(engine: Engine) -> None:
    def work() -> None:
        with poolwatch.fiber():
            take(engine)
            gevent.sleep(60)

    child = gevent.spawn(work)
    gevent.sleep(0.01)
    child.kill()


def thread(engine: Engine) -> None:
    worker = threading.Thread(target=decorated, args=(engine,))
    worker.start()
    worker.join()


@pytest.mark.parametrize(
    "end",
    [returns, fails, decorated, killed_greenlet, dropped_greenlet, killed_gevent, thread],
    ids=lambda end: end.__name__,
)
def test_sync(watch: poolwatch.Watch, engine: Engine, end: Callable[[Engine], None]) -> None:
    """However a thread or greenlet ends, its connection is back and can be lent; repeats are counted, not listed."""
    for _ in range(2):
        end(engine)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        watch.findings()
    finding = remedied(watch)
    assert finding.count == 2
    assert finding.site is not None
    assert finding.site.function == "take"
    assert finding.stacks["checkout"]
    for kept in KEPT:
        kept.close()  # late, and without harm
    with engine.connect() as connection:
        assert connection.scalar(text("select 2")) == 2


def test_clean(watch: poolwatch.Watch, engine: Engine) -> None:
    """What came back by itself, was taken before the block, or belongs to somebody else is left alone."""
    outer = engine.connect()
    with poolwatch.fiber():
        outer.execute(text("select 1"))
    outer.close()
    with poolwatch.fiber(), engine.connect() as connection:
        connection.execute(text("select 1"))
        with poolwatch.fiber():
            connection.execute(text("select 1"))
    handed: list[Any] = []
    used, done = threading.Event(), threading.Event()

    def go_on() -> None:
        handed[0].execute(text("select 1"))
        used.set()
        done.wait(30)
        handed[0].close()

    with poolwatch.fiber():
        handed.append(engine.connect())
        user = threading.Thread(target=go_on)
        user.start()
        used.wait(30)
    assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    done.set()
    user.join()
    assert watch.findings() == ()
    assert watch.snapshot().process.remedies == {}


def test_session(watch: poolwatch.Watch, engine: Engine) -> None:
    """A Session whose connection was given back under it closes without harm."""
    session = Session(engine)
    with poolwatch.fiber():
        session.execute(text("select 1"))
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    session.close()
    with Session(engine) as other:
        assert other.scalar(text("select 2")) == 2
    remedied(watch)


async def use_async(engine: Any, end: str, used: asyncio.Event) -> None:
    async with poolwatch.fiber():
        if end == "session":
            KEPT.append(AsyncSession(engine))
            await KEPT[-1].execute(text("select 1"))
        else:
            KEPT.append(await engine.connect())
            await KEPT[-1].execute(text("select 1"))
        used.set()
        if end == "fails":
            raise ZeroDivisionError
        if end == "cancelled":
            await asyncio.sleep(60)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg_async"])
@pytest.mark.parametrize("end", ["returns", "fails", "cancelled", "session"])
def test_async_engine(watch: poolwatch.Watch, postgres: Server, end: str, driver: str) -> None:
    """However a task ends, its connection is back before the task is done."""

    async def main() -> None:
        engine = create_async_engine(postgres.url(driver), pool_size=1, max_overflow=0, pool_timeout=1)
        used = asyncio.Event()
        task = asyncio.create_task(use_async(engine, end, used))
        await used.wait()
        if end == "cancelled":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        async with engine.connect() as connection:
            assert await connection.scalar(text("select 2")) == 2
        for kept in KEPT:
            await kept.close()
        await engine.dispose()

    asyncio.run(main())
    remedied(watch)


def test_plain_with_in_a_task(watch: poolwatch.Watch, postgres: Server) -> None:
    """Without ``async with`` the loop returns the connection soon after."""

    async def main() -> None:
        engine = create_async_engine(postgres.url("asyncpg"), pool_size=1, max_overflow=0, pool_timeout=1)
        with poolwatch.fiber():
            KEPT.append(await engine.connect())
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
        await engine.dispose()

    asyncio.run(main())
    remedied(watch)


def test_psycopg_pool(watch: poolwatch.Watch, postgres: Server) -> None:
    """Connections of psycopg's pools go to putconn; one that was dropped is made good."""
    with ConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=5) as pool:
        with poolwatch.fiber():
            KEPT.append(pool.getconn())
        with pool.connection() as connection:
            connection.execute("select 1")
        remedied(watch)
        KEPT.clear()
        del connection
        poolwatch.fiber()(lambda: pool.getconn() and None)()
        with pool.connection() as connection:
            connection.execute("select 1")
        assert [finding.kind for finding in watch.findings()] == ["leak.collected", "leak.owner_ended"]
        assert watch.snapshot().process.remedies == {"fiber": 2}


def test_async_pools(watch: poolwatch.Watch, postgres: Server) -> None:
    """The same for psycopg's async pool and asyncpg's."""

    @poolwatch.fiber()
    async def forget(take: Any) -> None:
        KEPT.append(await take())

    async def main() -> None:
        async with AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=2, open=False) as pool:
            await forget(pool.getconn)
            async with pool.connection() as connection:
                await connection.execute("select 1")
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as other:
            await forget(other.acquire)
            async with other.acquire(timeout=2) as connection:
                await connection.execute("select 1")

    asyncio.run(main())
    found = watch.findings()
    assert sorted((finding.library, finding.state) for finding in found) == [
        ("asyncpg", "resolved"),
        ("psycopg_pool", "resolved"),
    ]
    assert watch.snapshot().process.remedies == {"fiber": 2}


class Handler:
    """Takes a connection in its ``__call__``."""

    async def __call__(self, pool: Any) -> None:
        KEPT.append(await pool.acquire())


def passes_on(pool: Any) -> Any:
    """Give a coroutine without being a coroutine function, as wrappers do."""
    return Handler()(pool)


class Proxy:
    """Stands for something that is not there now, as a framework's context locals do."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("outside of a request")


def test_whatever_gives_a_coroutine(watch: poolwatch.Watch, postgres: Server) -> None:
    """The fiber of what gives a coroutine is over when that is, in whatever task; its result is not touched."""

    async def main() -> None:
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            for work in (Handler(), passes_on, functools.partial(passes_on)):
                await asyncio.create_task(poolwatch.fiber()(work)(pool))
                assert pool.get_idle_size() == 1

    asyncio.run(main())
    assert sum(finding.count for finding in watch.findings()) == 3
    proxy = Proxy()
    assert poolwatch.fiber()(lambda: proxy)() is proxy


def test_whose_callbacks_come_late(watch: poolwatch.Watch, postgres: Server) -> None:
    """A task that used the connection is over as soon as it is done, though nobody has been told yet."""

    @poolwatch.fiber()
    async def work(pool: Any) -> None:
        connection = await pool.acquire()
        user = asyncio.create_task(connection.fetchval("select 1"))
        while not user.done():
            await asyncio.sleep(0)  # goes on before the callbacks of the task

    async def main() -> None:
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
        await asyncio.create_task(work(pool))
        assert pool.get_idle_size() == 1
        pool.terminate()

    asyncio.run(main())
    remedied(watch)


async def by_to_thread(connection: Any) -> None:
    await asyncio.to_thread(connection.execute, "select 1")


async def by_executor(connection: Any) -> None:
    await asyncio.get_running_loop().run_in_executor(None, connection.execute, "select 1")


async def by_anyio(connection: Any) -> None:
    await anyio.to_thread.run_sync(connection.execute, "select 1")


@pytest.mark.parametrize("use", [by_to_thread, by_executor, by_anyio])
def test_used_by_a_worker_thread(watch: poolwatch.Watch, postgres: Server, use: Any) -> None:
    """A worker thread lives on, but the call in which it used the connection is over: it is given back."""

    @poolwatch.fiber()
    async def work(pool: ConnectionPool) -> None:
        KEPT.append(pool.getconn())
        await use(KEPT[-1])

    async def main() -> None:
        with ConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=5, open=True) as pool:
            for _ in range(2):
                await asyncio.create_task(work(pool))
                assert pool.get_stats()["pool_available"] == 1

    asyncio.run(main())
    assert remedied(watch).count == 2


@pytest.mark.parametrize("around", [nullcontext(), poolwatch.scope("step")], ids=["plain", "scope"])
def test_a_worker_goes_on(watch: poolwatch.Watch, engine: Engine, around: Any) -> None:
    """What a work item that goes on uses is left to it, also where a block in which it did so is over."""
    used, done = threading.Event(), threading.Event()

    def work(connection: Any) -> object:
        with around:
            connection.execute(text("select 1"))
        used.set()
        assert done.wait(30)
        answer = connection.scalar(text("select 2"))
        connection.close()
        return answer

    with ThreadPoolExecutor(1) as worker:
        with poolwatch.fiber():
            result = worker.submit(work, engine.connect())
            assert used.wait(30)
        done.set()
        assert result.result() == 2
    assert watch.snapshot().process.remedies == {}


def test_detached(watch: poolwatch.Watch, engine: Engine) -> None:
    """A connection that was taken out of its pool is the application's own, and stays with it."""
    with poolwatch.fiber():
        connection = engine.connect()
        connection.detach()
        connection.execute(text("select 1"))
    assert connection.scalar(text("select 2")) == 2
    connection.close()
    assert watch.findings() == ()
    assert watch.snapshot().process.remedies == {}


def test_counted_once(watch: poolwatch.Watch, engine: Engine) -> None:
    """What comes back while a look is under way is told in the next, and not in both."""
    suspects = watch._watcher._looks._suspects
    with poolwatch.fiber():
        take(engine)
        (lease,) = watch.ledger.out()
        lease.used = float("-inf")  # long idle: worth a look
        raw = suspects.among(News(), time.monotonic(), False)
        assert list(raw) == [lease.id]
    assert suspects.examined(raw, time.monotonic(), False) == ()
    assert remedied(watch).count == 1


def test_strict(watch: poolwatch.Watch, engine: Engine) -> None:
    """In strict mode a leak raises LeakError, after the connection was given back, and hides no other error."""
    poolwatch.strict(engine)
    with pytest.raises(LeakError, match=r"test_fiber\.py:\d+ take"):
        returns(engine)
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    fails(engine)
    remedied(watch)


def test_without_poolwatch(engine: Engine) -> None:
    """Where nothing is installed the block does nothing; a generator is refused."""
    with poolwatch.fiber(), engine.connect() as connection:
        connection.execute(text("select 1"))

    def generate() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        poolwatch.fiber()(generate)


def test_one_block_entered_by_many(tmp_path: Path) -> None:
    """A fiber object of a module that two threads enter at once gives back to each what is his own."""
    watch = poolwatch.install(interval=60)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    block = poolwatch.fiber()
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    answers: list[object] = []

    def first() -> None:
        with block:
            engine.connect()
            first_in.set()
            assert second_in.wait(30)
        first_out.set()

    def second() -> None:
        assert first_in.wait(30)
        with block:
            connection = engine.connect()
            second_in.set()
            assert first_out.wait(30)
            answers.append(connection.execute(text("select 2")).scalar())
            connection.close()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watch.uninstall()
    engine.dispose()
    assert answers == [2]


class Acquiring(Coroutine[Any, Any, str]):
    """What a pool acquires with, of aiomysql's and aiohttp's kind: to be awaited, or entered."""

    async def __aenter__(self) -> str:
        """Give what was acquired."""
        return "entered"

    async def __aexit__(self, *raised: object) -> None:
        """Leave."""

    def __await__(self) -> Any:
        """Give what was acquired."""
        return self
        yield

    send = throw = close = lambda self, *args: None


@pytest.mark.parametrize("around", [poolwatch.fiber(), poolwatch.scope("job"), poolwatch.inherit])
def test_what_is_more_than_a_coroutine_stays_it(around: Any) -> None:
    """A function that returns something for ``async with`` returns it as before."""

    @around
    def acquire() -> Any:
        return Acquiring()

    async def main() -> str:
        async with acquire() as acquired:
            return str(acquired)

    assert asyncio.run(main()) == "entered"
