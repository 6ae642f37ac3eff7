"""The hook of psycopg_pool on real pools: what it counts, what it refuses, and that it never disturbs."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, AsyncNullConnectionPool, ConnectionPool, NullConnectionPool, PoolTimeout
from sqlalchemy import NullPool, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

import poolwatch
from poolwatch.errors import CrossingError
from poolwatch.ledger import Ledger
from tests.servers import Server

WATCH = {"interval": 0.1}


@pytest.fixture
def strict() -> Iterator[poolwatch.Watch]:
    """Install in strict mode."""
    installed = poolwatch.install(interval=60, strict=True)
    yield installed
    installed.uninstall()


def state(watch: poolwatch.Watch, library: str = "psycopg_pool") -> Any:
    """Give the state of the only pool of a library."""
    (pool,) = [pool for pool in watch.snapshot().pools if pool.library == library]
    return pool


def kinds(watch: poolwatch.Watch) -> list[str]:
    """Look, and give the kinds of open findings."""
    return [finding.kind for finding in watch.findings() if finding.state == "open"]


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


@pytest.mark.parametrize(("most", "found"), [(0, []), (2, ["leak.collected"])])
def test_closed_instead_of_returned(watch: poolwatch.Watch, postgres: Server, most: int, found: list[str]) -> None:
    """A null pool without a limit loses nothing by a close; one with a limit loses a place."""
    with NullConnectionPool(postgres.dsn, max_size=most, open=True) as pool:
        pool.getconn().close()
        gc.collect()
        assert kinds(watch) == found


def test_returned_by_a_finalizer(watch: poolwatch.Watch, postgres: Server) -> None:
    """What a ``__del__`` in a reference cycle puts back was returned, though the collector calls us before it."""
    with ConnectionPool(postgres.dsn, min_size=1, max_size=2, timeout=30, open=True) as pool:

        class Repository:
            def __init__(self) -> None:
                self.connection = pool.getconn()
                self.me = self

            def __del__(self) -> None:
                pool.putconn(self.connection)

        for _ in range(6):
            Repository().connection.execute("select 1")
            gc.collect()
            assert kinds(watch) == []
        assert state(watch).used == 0
        with pool.connection() as connection:
            del connection
            assert state(watch).used == 1


def test_numbers_and_limits(watch: poolwatch.Watch, postgres: Server) -> None:
    """Name, limits, connects, idle and used are those of the pool, and the lease tells its line and statement."""
    with ConnectionPool(postgres.dsn, min_size=2, max_size=3, timeout=7, name="shop", open=True) as pool:
        pool.wait()
        with pool.connection() as connection:
            connection.execute("select 1")
            (lease,) = watch.snapshot().leases
            shop = state(watch)
            assert (shop.used, shop.idle, shop.connects_total) == (1, 1, 2)
        pool.resize(2, 5)
        held = [pool.getconn() for _ in range(3)]
        assert state(watch).limits.max == 5
        for connection in held:
            pool.putconn(connection)
    assert (shop.name, shop.cls, shop.limits.size, shop.limits.max, shop.limits.timeout) == (
        "shop",
        "ConnectionPool",
        2,
        3,
        7.0,
    )
    assert lease.site is not None
    assert lease.site.function.endswith("test_numbers_and_limits")
    assert (lease.statements, lease.last_statement) == (1, "select ?")
    assert (state(watch).used, state(watch).idle) == (0, 0)


@pytest.mark.parametrize("cls", [ConnectionPool, NullConnectionPool])
def test_waits_and_timeouts(watch: poolwatch.Watch, postgres: Server, cls: type[ConnectionPool[Any]]) -> None:
    """A waiter is counted while it waits and not after its timeout, which psycopg_pool's own number forgets."""
    with cls(postgres.dsn, min_size=0, max_size=1, open=True) as pool, pool.connection():

        def wait() -> None:
            with pytest.raises(PoolTimeout):
                pool.getconn(timeout=1.5)  # long enough to be seen waiting

        thread = threading.Thread(target=wait)
        thread.start()
        assert eventually(lambda: state(watch).waiting == 1)
        thread.join()
        assert (state(watch).waiting, state(watch).timeouts_total) == (0, 1)
        assert kinds(watch) == ["starvation.exhausted"]


@pytest.mark.parametrize("cls", [AsyncConnectionPool, AsyncNullConnectionPool])
def test_foreign_loop_is_found_before_the_hang(
    watch: poolwatch.Watch, postgres: Server, cls: type[AsyncConnectionPool[Any]]
) -> None:
    """The first getconn on another loop is a finding within half a second, though its pool would wait for ever."""
    home = asyncio.new_event_loop()
    pool = cls(postgres.dsn, min_size=0, max_size=1, open=False)
    home.run_until_complete(pool.open())
    held = home.run_until_complete(pool.getconn())

    async def elsewhere() -> None:
        task = asyncio.create_task(pool.getconn(timeout=30))
        await asyncio.sleep(0.5)
        assert "crossing.loop" in [finding.kind for finding in watch.snapshot().findings]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(elsewhere())
    assert kinds(watch) == ["crossing.loop"]
    assert "asyncio.run" in watch.findings()[0].hint
    home.run_until_complete(pool.putconn(held))
    home.run_until_complete(pool.close())
    home.close()


def test_strict_refuses_a_foreign_loop(strict: poolwatch.Watch, postgres: Server) -> None:
    """In strict mode getconn and close raise at once, and the pool goes on working at home."""
    home = asyncio.new_event_loop()
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(postgres.dsn, min_size=1, open=False)
    home.run_until_complete(pool.open(wait=True))
    for call in (pool.getconn, pool.close):
        with pytest.raises(CrossingError, match=r"opened on .*still open.*, used on"):
            asyncio.run(call())
    home.run_until_complete(pool.putconn(home.run_until_complete(pool.getconn())))
    home.run_until_complete(pool.close())
    home.close()


def test_strict_refuses_a_forked_child(strict: poolwatch.Watch, postgres: Server) -> None:
    """In a forked child getconn raises before anything is lent, and says that the workers are gone."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool:
        pool.wait()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                pool.getconn(timeout=1)
            except CrossingError as error:
                os.write(writer, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert b"worker threads do not run" in os.read(reader, 1000)
        os.close(reader)
        os.close(writer)
        with pool.connection() as connection:
            connection.execute("select 1")


def test_a_lost_slot_goes_on_counting(watch: poolwatch.Watch, postgres: Server) -> None:
    """A dropped connection stays used, as the pool counts it, until the pool is closed; the hint says so."""
    with ConnectionPool(postgres.dsn, min_size=2, open=True) as pool:
        pool.wait()
        pool.getconn()
        gc.collect()
        (finding,) = watch.findings()
        watch.findings()
        assert (finding.kind, watch.findings()[0].count) == ("leak.collected", 1)
        assert "lost for good" in finding.hint
        stats = pool.get_stats()
        assert state(watch).used == stats["pool_size"] - stats["pool_available"] == 1
    assert state(watch).used == 0


def test_closed_by_its_holder_after_the_pool(watch: poolwatch.Watch, postgres: Server) -> None:
    """Where the pool is closed, closing the connection itself is giving it back."""
    pool = ConnectionPool(postgres.dsn, min_size=1, open=True)
    connection = pool.getconn()
    pool.close()
    connection.close()
    del connection
    gc.collect()
    assert (kinds(watch), state(watch).used) == ([], 0)


def test_broken_connections_are_not_idle(watch: poolwatch.Watch, postgres: Server) -> None:
    """What broke in use is neither used nor idle after its return, though somebody still has it."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool:
        connection = pool.getconn()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
        pool.putconn(connection)
        assert eventually(lambda: pool.get_stats()["pool_available"] == 1)
        assert (state(watch).used, state(watch).idle, kinds(watch)) == (0, 1, [])


def test_returned_by_a_worker_thread(watch: poolwatch.Watch, postgres: Server) -> None:
    """With ``reset`` the pool's own thread works on the connection: no finding and no hand-off."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True, reset=lambda c: c.rollback()) as pool:
        for _ in range(5):
            with pool.connection() as connection:
                connection.execute("select 1")
        assert (kinds(watch), state(watch).hand_offs_total, state(watch).checkouts_total) == ([], 0, 5)


def test_turns_inside_a_transaction(watch: poolwatch.Watch, postgres: Server) -> None:
    """Two threads in one transaction take turns: suspected; between transactions it is as psycopg allows."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool, pool.connection() as connection:
        for autocommit in (True, False):
            connection.commit()
            connection.autocommit = autocommit
            turn = threading.Barrier(2)

            def work(order: int, turn: threading.Barrier = turn) -> None:
                for number in range(4):
                    if number % 2 == order:
                        connection.execute("select 1")
                    until = time.monotonic() + 0.05
                    while time.monotonic() < until:  # at work, waiting for nobody
                        pass
                    turn.wait()

            threads = [threading.Thread(target=work, args=(order,)) for order in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert "crossing.concurrent" not in kinds(watch)
            if autocommit:
                assert kinds(watch) == []


def test_sqlalchemy_on_top_is_one_lease(watch: poolwatch.Watch, postgres: Server) -> None:
    """What SQLAlchemy takes of a psycopg pool is SQLAlchemy's lease alone, by whatever function it takes it."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True, close_returns=True) as pool:

        def create() -> Any:
            return pool.getconn(timeout=5)

        for creator in (pool.getconn, create):
            engine = create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
            with engine.connect() as connection:
                connection.execute(text("select 1"))
                assert [lease.library for lease in watch.snapshot().leases] == ["sqlalchemy"]
            assert watch.snapshot().leases == ()
        with pool.connection():
            assert [lease.library for lease in watch.snapshot().leases] == ["psycopg_pool"]
        assert eventually(lambda: state(watch).idle == 1)


def _in_an_executor(ask: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(ask).result()


def _deep(ask: Callable[[], Any]) -> Any:
    def again(times: int) -> Any:
        return again(times - 1) if times else ask()

    return again(10)


@contextmanager
def _timed() -> Iterator[None]:
    yield


@pytest.mark.parametrize("how", [_deep, _in_an_executor, _timed()(lambda ask: ask())])
def test_sqlalchemy_asks_by_a_helper(
    watch: poolwatch.Watch, postgres: Server, how: Callable[[Callable[[], Any]], Any]
) -> None:
    """However a creator comes by a connection, it is SQLAlchemy's lease alone, and nobody's while SQLAlchemy idles."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True, close_returns=True) as pool:
        engine = create_engine("postgresql+psycopg://", creator=lambda: how(pool.getconn))
        with engine.connect() as connection:
            connection.execute(text("select 1"))
            assert [lease.library for lease in watch.snapshot().leases] == ["sqlalchemy"]
        assert watch.snapshot().leases == ()
        engine.dispose()
        assert eventually(lambda: state(watch).idle == 1)


def test_sqlalchemy_asks_in_a_task(watch: poolwatch.Watch, postgres: Server) -> None:
    """The same for an async creator that asks in a task of its own, as ``wait_for`` does before Python 3.12."""

    async def main() -> None:
        async with AsyncConnectionPool(postgres.dsn, min_size=1, open=False, close_returns=True) as pool:

            async def create(*args: Any, **kwargs: Any) -> Any:
                return await asyncio.create_task(pool.getconn())

            engine = create_async_engine("postgresql+psycopg://", async_creator=create)
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))
                assert [lease.library for lease in watch.snapshot().leases] == ["sqlalchemy"]
            assert watch.snapshot().leases == ()
            await engine.dispose()

    asyncio.run(main())


def test_a_listener_asks_for_itself(watch: poolwatch.Watch, postgres: Server) -> None:
    """What a listener of SQLAlchemy's takes while that connects is a lease of the application's."""
    with ConnectionPool(postgres.dsn, min_size=2, open=True, close_returns=True) as pool:
        kept = []
        engine = create_engine("postgresql+psycopg://", creator=pool.getconn)
        event.listen(engine, "connect", lambda *_: kept.append(pool.getconn()))
        with engine.connect():
            leases = sorted(lease.library for lease in watch.snapshot().leases)
        assert leases == ["psycopg_pool", "sqlalchemy"]
        pool.putconn(kept.pop())
        engine.dispose()


def test_unreachable_server(watch: poolwatch.Watch) -> None:
    """Where a pool cannot connect, nothing is exhausted: nobody holds anything. The timeout is counted."""
    pool = ConnectionPool("host=127.0.0.1 port=1", min_size=1, max_size=1, reconnect_timeout=0.1, open=True)
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.3)
    assert (kinds(watch), state(watch).timeouts_total) == ([], 1)
    pool.close()


def test_pools_that_exist_already(postgres: Server) -> None:
    """Installed late, the idle connections of open pools are known, and what was lent before is no finding."""
    with ConnectionPool(postgres.dsn, min_size=2, open=True) as pool:
        pool.wait()
        early = pool.getconn()
        watch = poolwatch.install(interval=60)
        assert (state(watch).used, state(watch).idle) == (0, 1)
        pool.putconn(early)
        assert (state(watch).idle, kinds(watch)) == (2, [])
        watch.uninstall()


@pytest.mark.parametrize("name", ["lend", "give_back", "blocked", "unblocked", "enter", "leave", "pool_for"])
def test_a_failing_hook_does_not_disturb(monkeypatch: pytest.MonkeyPatch, postgres: Server, name: str) -> None:
    """Whatever raises inside, the application lends, executes, waits and returns; the failure is counted."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Ledger, name, fail)
    watch = poolwatch.install(interval=60)
    try:
        with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool:
            with pool.connection() as connection:
                assert connection.execute("select 1").fetchone() == (1,)
                with pytest.raises(PoolTimeout):
                    pool.getconn(timeout=0.1)
            assert pool.get_stats()["pool_available"] == 1
        assert sum(watch.snapshot().process.hook_errors.values()) > 0
    finally:
        watch.uninstall()


def test_uninstall_leaves_the_classes_alone() -> None:
    """After uninstall every attribute is the library's own."""
    classes = (ConnectionPool, AsyncConnectionPool, psycopg.Connection, psycopg.AsyncConnection, psycopg.Cursor)
    before = [dict(vars(cls)) for cls in classes]
    watch = poolwatch.install(interval=60)
    assert [dict(vars(cls)) for cls in classes] != before
    watch.uninstall()
    assert [dict(vars(cls)) for cls in classes] == before
