"""``expect_no_leaks``: a block that leaks raises, one that gives back does not, whoever does the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import poolwatch
from poolwatch.errors import ConfigError
from poolwatch.senses import flow


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine with a real pool."""
    options = {"check_same_thread": False}
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=QueuePool, connect_args=options)
    yield engine
    engine.dispose()


def test_leaves_no_trace(engine: Engine) -> None:
    """A clean block passes, and poolwatch is gone where it was not installed before."""
    with poolwatch.expect_no_leaks(), engine.connect() as connection:
        connection.execute(text("select 1"))
    assert poolwatch.installed() is None


def test_kept_in_a_local(engine: Engine) -> None:
    """What a local variable still holds at the end of the block is left out."""
    with pytest.raises(poolwatch.LeakError, match=r"LEAK\.SCOPE_ENDED -- proved") as error, poolwatch.expect_no_leaks():
        connection = engine.connect()
    assert "test_expect.py" in str(error.value)
    assert "engine.connect()" in str(error.value)
    connection.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dropped(engine: Engine) -> None:
    """What was dropped without being returned is found, also in a cycle."""
    with pytest.raises(poolwatch.LeakError, match=r"LEAK\.COLLECTED"), poolwatch.expect_no_leaks():
        _drop(engine)


def _drop(engine: Engine) -> None:
    cycle: list[object] = [engine.connect()]
    cycle.append(cycle)


def test_threads_belong_to_the_block(engine: Engine) -> None:
    """A thread and a work item started inside are the block's."""
    kept: list[Connection] = []
    for run in (_in_thread, _in_executor):
        with pytest.raises(poolwatch.LeakError), poolwatch.expect_no_leaks(settle=0.1):
            run(lambda: kept.append(engine.connect()))
        kept.pop().close()


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def _in_executor(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(work).result()


def test_taken_before(engine: Engine) -> None:
    """What was out before the block is somebody else's."""
    watch = poolwatch.install()
    with engine.connect() as connection, poolwatch.expect_no_leaks():
        connection.execute(text("select 1"))
    watch.uninstall()


def test_on_its_way_back(engine: Engine) -> None:
    """A thread that returns its connection soon after the block is given the time."""
    with poolwatch.expect_no_leaks():
        connection = engine.connect()
        timer = threading.Timer(0.2, connection.close)
        timer.start()
    timer.join()


def test_crossing(engine: Engine) -> None:
    """Two flows on one connection are an error of the block they happen in."""
    watch = poolwatch.install()
    kept: list[Connection] = []
    with engine.begin() as connection:
        connection.execute(text("create table orders (id integer)"))

    def request(number: int) -> None:
        with poolwatch.scope(f"request {number}"):
            kept or kept.append(engine.connect())
            kept[0].execute(text("insert into orders values (1)"))

    def requests() -> None:
        for number in range(2):  # on threads that were there before the block, as a server's are
            servers[number].submit(request, number).result()
        kept[0].close()

    servers = [ThreadPoolExecutor(1), ThreadPoolExecutor(1)]
    with pytest.raises(poolwatch.LeakError, match=r"CROSSING\.FLOW"), poolwatch.expect_no_leaks():
        _in_thread_of_nobody(requests)
    for server in servers:
        server.shutdown()
    watch.uninstall()


def _in_thread_of_nobody(work: Callable[[], None]) -> None:
    """Run outside of the block's flow, where a server's threads are."""
    entry = flow.begin(None)
    try:
        work()
    finally:
        flow.leave(entry)


def test_async(engine: Engine) -> None:
    """On a loop the block waits for its tasks without stopping them."""

    async def later(connection: Connection) -> None:
        await asyncio.sleep(0.2)
        connection.close()

    async def main() -> None:
        async with poolwatch.expect_no_leaks():
            task = asyncio.create_task(later(engine.connect()))
        await task

    asyncio.run(main())


def test_errors_go_their_way(engine: Engine) -> None:
    """An error out of the block is not replaced by what it left out."""
    kept = []

    def fail() -> None:
        kept.append(engine.connect())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), poolwatch.expect_no_leaks():
        fail()
    kept.pop().close()


def test_bad_grade() -> None:
    """A word that is no grade is refused."""
    with pytest.raises(ConfigError, match="'grade': 'certain' is not allowed; use one of proved, probable, suspected"):
        poolwatch.expect_no_leaks(grade="certain")  # type: ignore[arg-type]
