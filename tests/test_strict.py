"""Strict mode: the offending call raises, with both owners and both stacks, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import os
import queue
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
from poolwatch.errors import CrossingError, LeakError
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("patient_walks")


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


def left(engine: Engine) -> None:
    """Take a connection in a scope, use it, and forget it."""
    with poolwatch.scope("job"):
        connection = engine.connect()
        connection.execute(text("select 1"))


@poolwatch.scope("job")
def left_by_call(engine: Engine) -> object:
    """Do the same in a decorated function, which gives what it has read."""
    connection = engine.connect()
    return connection.scalar(text("select 1"))


def left_in_turns(engine: Engine) -> None:
    """Take another one each time in the same variable."""
    for _ in range(2):
        with poolwatch.scope("job"):
            connection = engine.connect()
            connection.execute(text("select 1"))


@pytest.mark.parametrize("job", [left, left_by_call, left_in_turns])
def test_scope(strictly: Any, engine: Engine, job: Any) -> None:
    """A scope that ends while what it took is out, and in nobody's hands, raises."""
    strictly(engine)
    with pytest.raises(LeakError, match=r"scope 'job'.* a connection of pool .*taken at .*test_strict\.py"):
        job(engine)
    return_all()


def test_scopes_within_each_other(strictly: Any, engine: Engine) -> None:
    """The innermost raises, once; what it gives to the one around it, and that one leaves, is told of by that one."""
    strictly(engine)
    with poolwatch.scope("outer"), pytest.raises(LeakError, match="'job'") as caught:
        left(engine)
    with pytest.raises(LeakError, match="'outer'") as caught_too:
        leave_in_outer(engine)
    del caught, caught_too
    return_all()


def leave_in_outer(engine: Engine) -> None:
    """Leave what a scope within gave to this one."""
    with poolwatch.scope("outer"):
        connection = opened(engine)
        connection.execute(text("select 1"))


def return_all() -> None:
    """Close what is out."""
    watch = poolwatch.installed()
    assert watch is not None
    for lease in watch.leases_out():
        handle = lease()
        if handle is not None:
            handle.close()


KEPT: dict[str, Any] = {}


class Keeper:
    """Has a connection for as long as it is entered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> None:
        with poolwatch.scope("job"):
            self.connection = self.engine.connect()

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def closed(engine: Engine, _: Any) -> None:
    """Give it back."""
    with poolwatch.scope("job"), engine.connect() as connection:
        connection.execute(text("select 1"))


def closed_later(engine: Engine, _: Any) -> None:
    """Give it back behind the block."""
    with poolwatch.scope("job"):
        connection = engine.connect()
    connection.close()


def opened(engine: Engine) -> Any:
    """Give a connection out of a scope."""
    with poolwatch.scope("job"):
        connection = engine.connect()
        connection.execute(text("select 1"))
        return connection


@poolwatch.scope("job")
def opened_by_call(engine: Engine) -> Any:
    """Give it out of a decorated function, with something else."""
    return engine.connect(), 1


def opened_nameless(engine: Engine) -> Any:
    """Give it without having named it, through two scopes."""
    with poolwatch.scope("outer"), poolwatch.scope("job"):
        return [engine.connect()]


def used_by_caller(engine: Engine, _: Any) -> None:
    """Use what such functions give."""
    opened(engine).close()
    opened_by_call(engine)[0].close()
    opened_nameless(engine)[0].close()


def queued(engine: Engine, waiting: queue.Queue[Any]) -> None:
    """Put it into a queue that another thread reads."""
    with poolwatch.scope("job"):
        waiting.put(engine.connect())


def kept(engine: Engine, _: Any) -> None:
    """Keep it in a global, and in an attribute of who is entered."""
    with poolwatch.scope("job"):
        KEPT["connection"] = engine.connect()
    KEPT.pop("connection").close()
    with Keeper(engine):
        pass


def failed(engine: Engine, _: Any) -> None:
    """End by another error, which goes its way."""
    with pytest.raises(KeyError):
        fail(engine)
    return_all()


@poolwatch.scope("job")
def fail(engine: Engine) -> None:
    """Leave a connection by an error."""
    raise KeyError(engine.connect())


@pytest.mark.parametrize("job", [closed, closed_later, used_by_caller, queued, kept, failed])
def test_scope_clean(strictly: Any, engine: Engine, job: Any) -> None:
    """What came back, or was handed to somebody who has it yet, raises nothing."""
    strictly(engine)
    waiting: queue.Queue[Any] = queue.Queue()
    reader = threading.Thread(target=lambda: close(waiting.get(timeout=30)), name="reader")
    reader.start()
    job(engine, waiting)
    waiting.put(None)
    reader.join()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def close(connection: Any) -> None:
    """Close what came through the queue, if it is a connection."""
    if connection is not None:
        connection.close()


def test_scope_without(engine: Engine) -> None:
    """Without the mode a scope raises nothing."""
    watch = poolwatch.install(interval=60)
    try:
        left(engine)
        return_all()
    finally:
        watch.uninstall()


def test_pool_left_out(engine: Engine) -> None:
    """A pool may be left out where the option is on: neither a scope nor a crossing raises."""
    watch = poolwatch.install(interval=60, strict=True)
    try:
        poolwatch.strict(engine, False)
        left(engine)
        return_all()
        with engine.connect() as connection:
            thread = busy(connection.execute)
            watch.ledger.enter(watch.leases_out()[0], "select 1")
            thread.join()
        poolwatch.strict(engine)
        with pytest.raises(LeakError):
            left(engine)
        return_all()
    finally:
        watch.uninstall()


def test_scope_async(strictly: Any, postgres: Server) -> None:
    """A task's scope raises, block and decorator; what it gives to whoever awaits it, or to another task, does not."""

    async def main() -> None:
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            strictly(pool)

            async def leaves() -> None:
                with poolwatch.scope("job"):
                    connection = await pool.acquire()
                    await connection.fetchval("select 1")

            @poolwatch.scope("job")
            async def gives(leave: bool) -> Any:
                connection = await pool.acquire()
                return await connection.fetchval("select 1") if leave else connection

            async def puts(waiting: asyncio.Queue[Any]) -> None:
                with poolwatch.scope("job"):
                    await waiting.put(await pool.acquire())

            for job in (leaves, lambda: gives(True)):
                for run in (lambda work: work, asyncio.create_task):
                    with pytest.raises(LeakError, match=r"scope 'job' .*test_strict\.py"):
                        await run(job())
                    watch = poolwatch.installed()
                    assert watch is not None
                    await pool.release(watch.leases_out()[0]()._proxy)
            await pool.release(await gives(False))
            waiting = asyncio.Queue[Any]()
            await asyncio.create_task(puts(waiting))
            await pool.release(waiting.get_nowait())

    asyncio.run(asyncio.wait_for(main(), 30))


SCRIPT = """
import sys
from sqlalchemy import create_engine, text
import poolwatch
poolwatch.install(strict=True)
engine = create_engine(sys.argv[1])
for read in (True, False):
    try:
        if read:
            with poolwatch.scope("job"):
                connection = engine.connect()
            connection.close()
        else:
            with poolwatch.scope("job"):
                other = engine.connect()
        print("silent")
    except poolwatch.LeakError as error:
        print("LeakError")
"""


def test_scope_of_script(postgres: Server, tmp_path: Path) -> None:
    """In a script, whose variables are globals, it raises where nothing in the script reads them any more."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    agent = str(Path(poolwatch.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(path), postgres.url("psycopg")],
        env={**os.environ, "PYTHONPATH": agent},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["silent", "LeakError"], done.stderr
