"""The hook of asyncpg on real pools and connections: what it counts, what it refuses, and that it never disturbs."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import poolwatch
from poolwatch.errors import CrossingError
from poolwatch.ledger import Ledger
from tests.servers import Server

WATCH = {"interval": 0.1}


@pytest.fixture
def url(postgres: Server) -> str:
    """Give the address in asyncpg's own words."""
    return postgres.url("asyncpg").replace("+asyncpg", "")


def state(watch: poolwatch.Watch) -> Any:
    """Give the state of the only pool."""
    (pool,) = [pool for pool in watch.snapshot().pools if pool.library == "asyncpg"]
    return pool


def kinds(watch: poolwatch.Watch) -> list[str]:
    """Look, and give the kinds of open findings."""
    return [finding.kind for finding in watch.findings() if finding.state == "open"]


def test_numbers_and_limits(watch: poolwatch.Watch, postgres: Server, url: str) -> None:
    """Name, limits, idle, used, waits and timeouts are those of the pool; the lease tells line and statement."""

    async def fill(pool: Any) -> None:
        others = [await pool.acquire() for _ in range(2)]
        with pytest.raises(asyncio.TimeoutError):
            await pool.acquire(timeout=0.1)
        waiter = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0.05)
        seen.append(state(watch))
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        for other in others:
            await pool.release(other)

    async def main() -> None:
        async with asyncpg.create_pool(url, min_size=2, max_size=3) as pool:
            async with pool.acquire() as connection:
                await connection.fetch("select $1::int", 1)
                leases.extend(watch.snapshot().leases)
                seen.append(state(watch))
                idle.append(pool.get_idle_size())
                await fill(pool)
            seen.append(state(watch))
            idle.append(pool.get_idle_size())

    seen: list[Any] = []
    leases: list[Any] = []
    idle: list[int] = []
    asyncio.run(main())
    one, full, none = seen
    assert [(one.used, one.idle), (none.used, none.idle)] == [(1, idle[0]), (0, idle[1])]
    assert [(pool.waiting, pool.timeouts_total) for pool in seen] == [(0, 0), (1, 1), (0, 1)]
    assert (full.limits.size, full.limits.max, full.connects_total) == (2, 3, 3)
    assert one.name == f"127.0.0.1:{postgres.port}/postgres"
    assert [(lease.statements, lease.last_statement) for lease in leases] == [(1, "select $1::int")]


def test_a_closed_connection_is_returned(watch: poolwatch.Watch, url: str) -> None:
    """A connection that its holder closes, or the pool terminates, is back; releasing it again is nothing."""

    async def main() -> None:
        async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
            connection = await pool.acquire()
            await connection.close()
            assert state(watch).used == 0
            await pool.release(connection)
            connection = await pool.acquire()
            pool.terminate()
            assert (state(watch).used, kinds(watch)) == (0, [])

    asyncio.run(main())


def test_what_prepares_a_connection(watch: poolwatch.Watch, url: str) -> None:
    """What ``setup`` does is done on the lease; where it fails nothing stays lent, and whoever waited waits no more."""

    async def setup(connection: Any) -> None:
        seen.append((state(watch).used, state(watch).waiting))
        await connection.execute(next(statements))

    async def main() -> None:
        async with asyncpg.create_pool(url, min_size=1, max_size=1, setup=setup) as pool:
            async with pool.acquire() as connection:
                waiter = asyncio.ensure_future(pool.acquire())
                await asyncio.sleep(0)
                assert state(watch).waiting == 1
            del connection
            with pytest.raises(asyncpg.UndefinedTableError):
                await waiter
            assert (state(watch).used, state(watch).waiting) == (0, 0)
            async with pool.acquire() as connection:
                assert await connection.fetchval("select 1") == 1

    seen: list[tuple[int, int]] = []
    statements = iter(("select 1", "select * from nowhere", "select 1"))
    asyncio.run(main())
    assert seen == [(1, 0)] * 3
    assert kinds(watch) == []


def test_methods_pass_for_coroutine_functions(watch: poolwatch.Watch) -> None:
    """A mock that is made of a watched class is awaited where the class is."""
    assert isinstance(Mock(spec=asyncpg.Connection).execute, AsyncMock)


@pytest.mark.parametrize("pooled", [True, False])
def test_two_tasks_in_one_connection(watch: poolwatch.Watch, url: str, pooled: bool) -> None:
    """The second task is named beside the first, with the lines of both."""

    async def slow(connection: Any) -> None:
        await connection.fetch("select pg_sleep(0.2)")

    async def quick(connection: Any) -> None:
        await connection.execute("select 1")

    async def main() -> None:
        pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
        connection = await (pool.acquire() if pooled else asyncpg.connect(url))
        answers = await asyncio.gather(slow(connection), quick(connection), return_exceptions=True)
        assert isinstance(answers[1], asyncpg.InterfaceError)
        await (pool.release(connection) if pooled else connection.close())
        await pool.close()

    asyncio.run(main())
    (finding,) = watch.findings()
    assert (finding.kind, finding.grade, finding.count) == ("crossing.concurrent", "proved", 1)
    assert [finding.stacks[name][0].function.rpartition(".")[2] for name in ("checkout", "last_use")] == [
        "slow",
        "quick",
    ]
    assert "another operation is in progress" in finding.hint


@pytest.mark.parametrize("pooled", [True, False])
def test_strict_refuses(url: str, pooled: bool) -> None:
    """In strict mode a second task and another loop are refused before anything is sent; the first goes on."""
    watch = poolwatch.install(interval=60, strict=True)
    home = asyncio.new_event_loop()

    async def open_() -> tuple[Any, Any]:
        pool = await asyncpg.create_pool(url, min_size=1, max_size=2)
        return pool, await (pool.acquire() if pooled else asyncpg.connect(url))

    async def crowd() -> list[Any]:
        tasks = [asyncio.create_task(connection.fetchval("select 7 from pg_sleep(0.1)")) for _ in range(2)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def close() -> None:
        await (pool.release(connection) if pooled else connection.close())
        await pool.close()

    pool, connection = home.run_until_complete(open_())
    first, second = home.run_until_complete(crowd())
    assert first == 7
    assert isinstance(second, CrossingError)

    async def elsewhere() -> None:
        for call in (connection.fetch("select 1"), pool.acquire()):
            with pytest.raises(CrossingError, match="used on"):
                await call

    asyncio.run(elsewhere())
    home.run_until_complete(close())
    home.close()
    watch.uninstall()


def test_sqlalchemys_connections_are_sqlalchemys(watch: poolwatch.Watch, postgres: Server) -> None:
    """Two tasks on one AsyncConnection are reported once, by SQLAlchemy's hook; asyncpg's is silent."""

    async def main() -> None:
        engine = create_async_engine(postgres.url("asyncpg"))
        async with engine.connect() as connection:
            calls = [connection.execute(text("select pg_sleep(0.1)")) for _ in range(2)]
            await asyncio.gather(*calls, return_exceptions=True)
            assert [pool.library for pool in watch.snapshot().pools] == ["sqlalchemy"]
        await engine.dispose()

    asyncio.run(main())
    assert [finding.library for finding in watch.findings()] == ["sqlalchemy"]


@pytest.mark.parametrize("name", ["lend", "give_back", "blocked", "unblocked", "enter", "leave", "pool_for"])
def test_a_failing_hook_does_not_disturb(monkeypatch: pytest.MonkeyPatch, url: str, name: str) -> None:
    """Whatever raises inside, the application acquires, executes, waits and releases; the failure is counted."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Ledger, name, fail)
    watch = poolwatch.install(interval=60)

    async def main() -> None:
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                assert await connection.fetchval("select 1") == 1
                with pytest.raises(asyncio.TimeoutError):
                    await pool.acquire(timeout=0.1)
            assert pool.get_idle_size() == 1

    try:
        asyncio.run(main())
        assert sum(watch.snapshot().process.hook_errors.values()) > 0
    finally:
        watch.uninstall()


def test_uninstall_leaves_the_classes_alone() -> None:
    """After uninstall every attribute is the library's own."""
    classes = (asyncpg.Pool, asyncpg.Connection, asyncpg.prepared_stmt.PreparedStatement, asyncpg.cursor.BaseCursor)
    before = [dict(vars(cls)) for cls in classes]
    watch = poolwatch.install(interval=60)
    assert [dict(vars(cls)) for cls in classes] != before
    watch.uninstall()
    assert [dict(vars(cls)) for cls in classes] == before
