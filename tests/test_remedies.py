"""Remedies: slots come back after a proof, on the pool's own loop, counted and logged, and never from the living."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool, NullConnectionPool
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

import poolwatch
from poolwatch.host import speech
from tests.servers import Server

KEPT: list[Any] = []


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let go of what a test kept."""
    yield
    KEPT.clear()


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Install with both remedies and a watcher that looks often."""
    installed = poolwatch.install(interval=0.02, grace=0.1, reclaim=("collected", "owner_ended"))
    try:
        yield installed
        assert installed.snapshot().process.hook_errors == {}
    finally:
        installed.uninstall()


def applied(watch: poolwatch.Watch, **expected: int) -> None:
    """Wait until the remedies were applied so often."""
    until = time.monotonic() + 10
    while watch.snapshot().process.remedies != expected and time.monotonic() < until:
        time.sleep(0.02)
    assert watch.report()["processes"][0]["remedies"] == expected


async def applied_async(watch: poolwatch.Watch, **expected: int) -> None:
    """Wait as ``applied`` does, and let the loop run."""
    await asyncio.to_thread(applied, watch, **expected)


@pytest.mark.parametrize("cls", [ConnectionPool, NullConnectionPool])
def test_collected(watch: poolwatch.Watch, postgres: Server, cls: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A slot that psycopg's pool lost for good is there again, and no longer counted as used."""
    with caplog.at_level(logging.WARNING), cls(postgres.dsn, min_size=0, max_size=1, timeout=10) as pool:
        for times in (1, 2, 3):
            connection = pool.getconn()
            connection.execute("select 1")
            del connection
            applied(watch, collected=times)
            with pool.connection() as connection:
                connection.execute("select 1")
            del connection
        (state,) = [state for state in watch.snapshot().pools if state.name == pool.name]
        assert (state.used, state.idle) == (0, pool.get_stats()["pool_available"])
        assert {finding.kind for finding in watch.findings()} == {"leak.collected"}
        speech.finish(30)
    assert "collected gave back a connection" in caplog.text


def test_collected_async(watch: poolwatch.Watch, postgres: Server) -> None:
    """The same on the pool's own loop; SQLAlchemy's async pool takes care of its slot itself."""

    async def main() -> None:
        async with AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=10, open=False) as pool:
            connection = await pool.getconn()
            await connection.execute("select 1")
            del connection
            await applied_async(watch, collected=1)
            async with pool.connection() as connection:
                await connection.execute("select 1")

    asyncio.run(main())


def test_owner_ended(watch: poolwatch.Watch, postgres: Server) -> None:
    """What an ended thread left in a module's list is closed; the finding says who gave it back."""
    engine = create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0, pool_timeout=10)

    def work() -> None:
        KEPT.append(engine.connect())
        KEPT[-1].execute(text("select 1"))

    thread = threading.Thread(target=work, name="importer")
    thread.start()
    thread.join()
    applied(watch, owner_ended=1)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    time.sleep(0.1)
    (finding,) = watch.findings()
    assert (finding.kind, finding.state) == ("leak.owner_ended", "resolved")
    assert str(finding.resolution).startswith("given back by poolwatch after")
    KEPT.pop().close()
    engine.dispose()


def test_owner_ended_async(watch: poolwatch.Watch, postgres: Server) -> None:
    """Connections of async pools are closed on the loop they live on."""

    async def main() -> None:
        engine = create_async_engine(postgres.url("asyncpg"), pool_size=1, max_overflow=0, pool_timeout=10)
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        async with (
            AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=10, open=False) as pool,
            asyncpg.create_pool(url, min_size=1, max_size=1) as other,
        ):
            for take in (engine.connect, pool.getconn, other.acquire):
                await asyncio.create_task(keep(take))
            await applied_async(watch, owner_ended=3)
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))
            async with pool.connection() as connection:
                await connection.execute("select 1")
            async with other.acquire() as connection:
                await connection.execute("select 1")
        await engine.dispose()

    async def keep(take: Any) -> None:
        KEPT.append(await take())

    asyncio.run(main())
    assert {finding.state for finding in watch.findings()} == {"resolved"}


@pytest.mark.filterwarnings("ignore")  # its socket is left to the collector
def test_a_closed_loop(watch: poolwatch.Watch, postgres: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Where the loop is closed nothing can be given back, and that is all that happens."""
    engine = create_async_engine(postgres.url("psycopg_async"))

    async def main() -> None:
        KEPT.append(await engine.connect())

    asyncio.run(main())
    until = time.monotonic() + 10
    while "could not give a connection back" not in caplog.text and time.monotonic() < until:
        time.sleep(0.02)
    assert watch.snapshot().process.remedies == {}
    assert [finding.state for finding in watch.findings()] == ["open"]
    KEPT.clear()
    gc.collect()


def test_the_living_keep_theirs(watch: poolwatch.Watch, postgres: Server) -> None:
    """A connection in the frame of somebody alive stays with him, though its owner ended."""
    engine = create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0)
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(engine.connect()), name="opener")
    thread.start()
    thread.join()
    mine = taken.pop()
    time.sleep(0.6)
    assert mine.scalar(text("select 1")) == 1
    time.sleep(0.3)
    mine.close()
    engine.dispose()
    assert watch.snapshot().process.remedies == {}
    assert watch.findings() == ()


def test_off_by_default(postgres: Server) -> None:
    """Without the option a lost slot stays lost."""
    watch = poolwatch.install(interval=0.02)
    try:
        pool = NullConnectionPool(postgres.dsn, min_size=0, max_size=1, timeout=0.2, open=True)
        pool.getconn()
        time.sleep(0.3)
        assert watch.snapshot().process.remedies == {}
        pool.close()
    finally:
        watch.uninstall()
