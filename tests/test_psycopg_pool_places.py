"""psycopg_pool where a pool does not live: it lives where it was opened, wherever it is asked before or after."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed

import poolwatch
from poolwatch.errors import CrossingError
from tests.servers import Server

AsyncPool = AsyncConnectionPool[Any]


@pytest.fixture
def strict() -> Iterator[poolwatch.Watch]:
    """Install in strict mode."""
    installed = poolwatch.install(interval=60, strict=True)
    yield installed
    installed.uninstall()


@pytest.fixture
def home() -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """Give what runs coroutines on an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda work: asyncio.run_coroutine_threadsafe(_all_of(work), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _all_of(work: Awaitable[Any]) -> Any:
    return await work


async def _use(pool: AsyncPool) -> None:
    for _ in range(2):
        async with pool.connection() as connection:
            await connection.execute("select 1")


def _kinds(watch: poolwatch.Watch) -> list[str]:
    return [finding.kind for finding in watch.findings()]


async def _ask(pool: AsyncPool) -> None:
    with pytest.raises(PoolClosed):
        await pool.getconn()


@pytest.mark.parametrize("ask", [_ask, AsyncConnectionPool.close])
def test_asked_before_it_was_opened(
    watch: poolwatch.Watch, postgres: Server, home: Callable[..., Any], ask: Callable[[AsyncPool], Awaitable[Any]]
) -> None:
    """A pool that is not open has no loop to leave; once open it is told where it was opened."""
    pool: AsyncPool = AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False)
    asyncio.run(_all_of(ask(pool)))
    home(pool.open(wait=True))
    home(_use(pool))
    assert _kinds(watch) == []
    asyncio.run(pool.check())
    (finding,) = watch.findings()
    assert finding.kind == "crossing.loop"
    assert "(still open), used on" in finding.summary
    home(pool.close())
    assert asyncio.run(_all_of(pool.close())) is None
    assert _kinds(watch) == ["crossing.loop"]


def test_open_before_the_watch(postgres: Server, home: Callable[..., Any]) -> None:
    """Of a pool that was open before it was watched its own workers tell the loop."""
    pool: AsyncPool = AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False)
    home(pool.open(wait=True))
    watch = poolwatch.install(interval=60)
    try:
        home(_use(pool))
        assert _kinds(watch) == []
        asyncio.run(pool.check())
        assert _kinds(watch) == ["crossing.loop"]
        home(pool.close())
    finally:
        watch.uninstall()


@pytest.mark.parametrize("name", ["check", "drain", "resize", "wait"])
def test_strict_refuses_upkeep_elsewhere(
    strict: poolwatch.Watch, postgres: Server, home: Callable[..., Any], name: str
) -> None:
    """What works on the pool as a whole raises on a foreign loop at once, and is free at home."""
    pool: AsyncPool = AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False)
    if not hasattr(pool, name):
        pytest.skip("not in this version")
    work = getattr(pool, name)
    arguments = (1, 2) if name == "resize" else ()
    home(pool.open(wait=True))
    home(work(*arguments))
    with pytest.raises(CrossingError, match=r"opened on .*still open.*, used on"):
        asyncio.run(work(*arguments))
    home(_use(pool))
    home(pool.close())


def _in_child(work: Callable[[], str]) -> str:
    """Give what ``work`` says in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as told:
        return told.read()


def test_opened_in_a_forked_child(watch: poolwatch.Watch, postgres: Server) -> None:
    """A pool that its parent has asked, but not opened, is the child's own."""
    pool = ConnectionPool(postgres.dsn, min_size=1, max_size=1, open=False)
    pool.close()
    with pytest.raises(PoolClosed):
        pool.getconn()

    def use() -> str:
        with pool, pool.connection() as connection:
            connection.execute("select 1")
        return str(_kinds(watch))

    assert _in_child(use) == "[]"


def test_closed_in_a_forked_child(watch: poolwatch.Watch, postgres: Server) -> None:
    """The child that closes its parent's pool ends the parent's sessions; one that has none to end harms nobody."""
    for size, kinds in ((1, "['crossing.process']"), (0, "[]")):
        with ConnectionPool(postgres.dsn, min_size=size, max_size=1, open=True) as pool:
            if size:
                pool.wait()
            assert _in_child(lambda pool=pool: str((pool.close(timeout=0.1), _kinds(watch))[1])) == kinds  # type: ignore[misc]
            pool.check()


def test_strict_saves_the_parents_sessions(strict: poolwatch.Watch, postgres: Server) -> None:
    """In strict mode the child's close raises before it closes anything."""
    with ConnectionPool(postgres.dsn, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        said = _in_child(lambda: str(pool.close()))
        assert said.startswith("CrossingError")
        assert "which ends it for both" in said
        with pool.connection() as connection:
            connection.execute("select 1")
