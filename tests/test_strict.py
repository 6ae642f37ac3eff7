"""Strict mode: the offending call raises, with both owners and both stacks, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.errors import CrossingError
from tests.servers import Server


@pytest.fixture(params=["option", "pool"])
def strictly(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Install in strict mode by option, or by pool; gives what makes a pool strict."""
    installed = poolwatch.install(interval=60, strict=request.param == "option")
    try:
        yield (lambda pool: None) if request.param == "option" else poolwatch.strict
        assert installed.snapshot().process.hook_errors == {}
    finally:
        installed.uninstall()


@pytest.fixture
def engine(postgres: Server) -> Iterator[Engine]:
    """Give an engine of two connections."""
    engine = create_engine(postgres.url("psycopg"), pool_size=2, max_overflow=0)
    yield engine
    engine.dispose()


def busy(execute: Any) -> threading.Thread:
    """Execute something slow on a thread named sleeper; gives it once it is at it."""
    thread = threading.Thread(target=lambda: execute(text("select pg_sleep(0.5)")), name="sleeper")
    thread.start()
    watch, deadline = poolwatch.installed(), time.monotonic() + 30
    while watch is not None and not any(lease.conn.inside for lease in watch.leases_out()):
        assert time.monotonic() < deadline, "nobody executes"
        time.sleep(0.005)
    return thread


def test_concurrent(strictly: Any, engine: Engine) -> None:
    """The second thread's statement raises before it is sent; the text has both threads and both lines."""
    strictly(engine)
    with engine.connect() as connection:
        thread = busy(connection.execute)
        with pytest.raises(CrossingError) as caught:
            connection.execute(text("select 1"))
        thread.join()
        words = str(caught.value)
        assert words.startswith("crossing.concurrent on pool")
        assert "sleeper" in words
        assert "MainThread" in words
        assert "select pg_sleep(0.5)" in words
        assert 'connection.execute(text("select 1"))' in words
        assert len(words.splitlines()) <= 40
        assert connection.scalar(text("select 2")) == 2
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_session(strictly: Any, engine: Engine) -> None:
    """A Session in two threads raises in the second."""
    strictly(engine)
    with Session(engine) as session:
        session.execute(text("select 1"))
        thread = busy(session.execute)
        with pytest.raises(CrossingError, match=r"crossing\.session"):
            session.execute(text("select 1"))
        thread.join()
        assert session.scalar(text("select 2")) == 2
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_return_never_raises(strictly: Any, engine: Engine) -> None:
    """Giving back what another executes on is reported, but an error there would lose the slot for good."""
    strictly(engine)
    raw = engine.raw_connection()
    lease = poolwatch.installed().leases_out()[0]  # type: ignore[union-attr]
    inside, returned = threading.Event(), threading.Event()

    def execute() -> None:
        poolwatch.installed().ledger.enter(lease, "select 1")  # type: ignore[union-attr]
        inside.set()
        returned.wait(30)

    thread = threading.Thread(target=execute, name="sleeper")
    thread.start()
    inside.wait(30)
    raw.close()
    returned.set()
    thread.join()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    watch = poolwatch.installed()
    assert watch is not None
    assert watch.leases_out() == []
    assert [finding.kind for finding in watch.findings()] == ["crossing.concurrent"]


def test_loop(strictly: Any, postgres: Server) -> None:
    """An AsyncEngine and both async pools refuse another loop at once, each time, long before any timeout."""
    engine = create_async_engine(postgres.url("psycopg_async"), pool_size=1, max_overflow=0)
    pool = AsyncConnectionPool(postgres.dsn, min_size=1, max_size=1, timeout=30, open=False)
    url = postgres.url("asyncpg").replace("+asyncpg", "")

    async def home() -> Any:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
        await pool.open(wait=True)
        async with pool.connection() as connection:
            await connection.execute("select 1")
        other = await asyncpg.create_pool(url, min_size=1, max_size=1)
        for each in (engine, pool, other):
            strictly(each)
        return other

    async def abroad() -> None:
        began = time.monotonic()
        for take in takes:
            with pytest.raises(CrossingError, match=r"crossing\.loop"):
                await take()
        assert time.monotonic() - began < 1

    first = asyncio.new_event_loop()
    other = first.run_until_complete(home())
    takes: list[Any] = [engine.connect, pool.getconn, other.acquire]
    asyncio.run(abroad())
    del takes[0]  # SQLAlchemy has thrown that connection away, and would open another one on the new loop
    asyncio.run(abroad())

    async def close() -> None:
        await pool.close()
        await other.close()
        await engine.dispose()

    first.run_until_complete(close())
    first.close()


PROCESS = """
import os, sys
from sqlalchemy import create_engine, text
import poolwatch
engine = create_engine(sys.argv[1])
if sys.argv[2:]:
    poolwatch.install(**{sys.argv[2]: True})
else:
    poolwatch.install()
    if "POOLWATCH_STRICT" not in os.environ:
        poolwatch.strict(engine)
with engine.connect() as connection:
    connection.execute(text("select 1"))
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
else:
    for _ in range(2):
        try:
            with engine.connect() as connection:
                print(connection.scalar(text("select 7")), flush=True)
        except poolwatch.CrossingError as error:
            print(str(error).splitlines()[0].partition(" ")[0], flush=True)
    os._exit(0)
with engine.connect() as connection:
    print("parent", connection.scalar(text("select 8")))
"""


def run(url: str, *options: str, environment: dict[str, str] | None = None) -> list[str]:
    """Run the program that forks; gives the lines it prints."""
    agent = str(Path(poolwatch.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, url, *options],
        env={**os.environ, "PYTHONPATH": agent, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("environment", [{}, {"POOLWATCH_STRICT": "1"}], ids=["pool", "environment"])
def test_process(postgres: Server, environment: dict[str, str]) -> None:
    """A forked child raises before its statement goes out, each time; the parent's connection stays whole."""
    lines = run(postgres.url("psycopg"), environment=environment)
    assert lines == ["crossing.process", "crossing.process", "parent 8"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_protect_fork(postgres: Server, driver: str) -> None:
    """With ``protect_fork`` the child gets connections of its own, and the parent's is untouched."""
    assert run(postgres.url(driver), "protect_fork") == ["7", "7", "parent 8"]


def test_uninstall_restores(engine: Engine) -> None:
    """Nothing raises any more, strict pool or not."""
    watch = poolwatch.install(interval=60, strict=True)
    poolwatch.strict(engine)
    watch.uninstall()
    with engine.connect() as connection:
        thread = busy(connection.execute)
        connection.execute(text("select 1"))
        thread.join()
