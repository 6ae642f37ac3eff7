"""One connection in the hands of one after the other: whose it is, and when that is a crossing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from psycopg_pool import ConnectionPool
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.ledger import crossing
from tests.servers import Server

SERIALIZABLE, AUTOCOMMIT = "SERIALIZABLE", "AUTOCOMMIT"
READS, WRITES = "select 1", "insert into orders values (1)"
SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n limit 200000) select max(i) from n"


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine whose connections any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.execute(text("create table orders (id integer)"))
    yield engine
    engine.dispose()


def requests(use: Callable[[], object], many: int = 2) -> None:
    """Let an application use something in requests, one after the other, each on a thread of its own."""
    app = FastAPI()

    @app.get("/orders/{number}")
    def order(number: int, request: Request) -> int:
        use()
        return number

    for number in range(many):
        with TestClient(app) as client:
            assert client.get(f"/orders/{number}").json() == number


def kinds(watch: poolwatch.Watch) -> list[str]:
    """Give the kinds of all that was found."""
    return [finding.kind for finding in watch.findings()]


def rolls_back(connection: Connection) -> None:
    """Begin a transaction a few times, and end it each time."""
    for _ in range(2):
        connection.execute(text(READS))
        connection.execute(text(WRITES))
        connection.rollback()


def rolls_back_twice(connection: Connection) -> None:
    """End a transaction that goes on with what is there, and a second time, when the next has begun."""
    connection.execute(text(WRITES))
    transaction = connection.get_transaction()
    connection.rollback()
    connection.execute(text(WRITES))
    assert transaction is not None
    with pytest.warns(SAWarning, match="already deassociated"):
        transaction.rollback()


def reads_half(connection: Connection) -> None:
    """Leave rows to be read."""
    result = connection.execute(text("select 1 union all select 2 union all select 3"))
    assert result.fetchone() is not None
    connection.info.setdefault("results", []).append(result)


WAYS: dict[str, tuple[str, Callable[[Connection], object], bool, bool]] = {
    "writes": (SERIALIZABLE, lambda connection: connection.execute(text(WRITES)), True, True),
    "reads": (SERIALIZABLE, lambda connection: connection.execute(text(READS)), False, True),
    "reads half": (SERIALIZABLE, reads_half, True, True),
    "commits by itself": (AUTOCOMMIT, lambda connection: connection.execute(text(WRITES)), False, False),
    "rolls back": (SERIALIZABLE, rolls_back, False, False),
    "rolls back twice": (SERIALIZABLE, rolls_back_twice, True, True),
}
"""Isolation level, what each request does, and whether that is found where requests do so and where threads take turns:
what the next statement of a request begins is its own, but threads that do not wait for each other meet in it one day.
"""


@pytest.mark.parametrize(("level", "use", "crosses", "_"), WAYS.values(), ids=WAYS.keys())
def test_taken_outside_all_flows(
    level: str, use: Callable[[Connection], object], crosses: bool, _: bool, watch: poolwatch.Watch, engine: Engine
) -> None:
    """An application's own connection may serve request after request where none leaves anything open in it."""
    with engine.connect().execution_options(isolation_level=level) as connection:
        requests(lambda: use(connection))
        assert kinds(watch) == ["crossing.flow"] * crosses
        for finding in watch.findings():
            assert finding.summary.count("'GET /orders/{number}'") == 2


@pytest.mark.parametrize(("level", "use", "crosses", "_"), WAYS.values(), ids=WAYS.keys())
def test_taken_in_a_flow(
    level: str, use: Callable[[Connection], object], crosses: bool, _: bool, watch: poolwatch.Watch, engine: Engine
) -> None:
    """So may one that the first request took and left to the others."""
    kept: list[Connection] = []

    def take_and_use() -> None:
        if not kept:
            kept.append(engine.connect().execution_options(isolation_level=level))
        use(kept[0])

    requests(take_and_use, 3)
    with contextlib.closing(kept.pop()):
        assert kinds(watch) == ["crossing.flow"] * crosses


def test_a_session_of_many_flows(watch: poolwatch.Watch, engine: Engine) -> None:
    """A Session has objects and a transaction of its own open, also where its connection has none."""
    with Session(engine) as session:
        requests(lambda: session.execute(text(READS)))
        assert kinds(watch) == ["crossing.flow"]


def take_turns(turn: Callable[[], object]) -> None:
    """Let two threads take three turns each, and wait for the other's without saying so."""
    whose = [0]

    def work(me: int) -> None:
        for _ in range(3):
            while whose[0] != me:
                time.sleep(0.001)
            try:
                turn()
            finally:
                whose[0] = 1 - me

    in_threads(lambda: work(0), lambda: work(1))


def in_threads(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, to the end."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("level", "use", "_", "crosses"), WAYS.values(), ids=WAYS.keys())
def test_turns(
    level: str, use: Callable[[Connection], object], _: bool, crosses: bool, watch: poolwatch.Watch, engine: Engine
) -> None:
    """Threads that use one connection in turns mix their work, but not where nothing is left open between the turns."""
    with engine.connect().execution_options(isolation_level=level) as connection:
        take_turns(lambda: use(connection))
        assert kinds(watch) == ["crossing.interleaved"] * crosses


class Database:
    """An application's own class around a connection."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one in at a time."""
        with self.lock:
            yield


LOCK, SEMAPHORE, DATABASE = threading.Lock(), threading.BoundedSemaphore(1), Database()


def under_a_global(connection: Connection) -> None:
    """Work as programs with one connection do."""
    with LOCK:
        connection.execute(text(READS))


def under_an_attribute(connection: Connection) -> None:
    """Work under a lock that belongs to an object."""
    DATABASE.lock.acquire()
    try:
        connection.execute(text(READS))
    finally:
        DATABASE.lock.release()


def under_a_semaphore(connection: Connection) -> None:
    """Work as the only one of as many as are let in."""
    with SEMAPHORE:
        connection.execute(text(READS))


def under_a_block(connection: Connection) -> None:
    """Work in a block that takes the lock, so that its frame is not among the callers'."""
    with DATABASE.turn():
        connection.execute(text(READS))


def beside_a_lock(connection: Connection) -> None:
    """Let go of a lock before the work begins."""
    with LOCK:
        pass
    connection.execute(text(READS))


def under_its_own(connection: Connection) -> None:
    """Work under a lock that nobody else knows."""
    lock = threading.Lock()
    with lock:
        connection.execute(text(READS))


LOCKS = {
    under_a_global: [],
    under_an_attribute: [],
    under_a_semaphore: [],
    under_a_block: [],
    beside_a_lock: ["crossing.interleaved"],
    under_its_own: ["crossing.interleaved"],
}


@pytest.mark.parametrize(("use", "expected"), LOCKS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_turns_under_a_lock(
    use: Callable[[Connection], None], expected: list[str], watch: poolwatch.Watch, engine: Engine
) -> None:
    """Turns that are taken under one lock are no finding, also where nobody waits for it when they change."""
    with engine.connect() as connection:
        take_turns(lambda: use(connection))
        assert kinds(watch) == expected


def test_tasks_under_a_lock(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """The same for tasks and asyncio's locks, whose frames lie behind SQLAlchemy's greenlets."""

    whose = [0]

    async def work(me: int, connection: AsyncConnection, lock: asyncio.Lock) -> None:
        for _ in range(3):
            while whose[0] != me:
                await asyncio.sleep(0.001)
            async with lock:
                await connection.execute(text(READS))
            whose[0] = 1 - me

    async def main() -> None:
        engine, lock = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db"), asyncio.Lock()
        async with engine.connect() as connection:
            await asyncio.gather(*(work(me, connection, lock) for me in range(2)))
        await engine.dispose()

    asyncio.run(main())
    assert kinds(watch) == []


class Touchy:
    """Notes whatever of it is looked up, and raises."""

    looked_up: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        Touchy.looked_up.append(name)
        raise SystemError(name)

    __class__ = property(lambda self: Touchy.looked_up.append("__class__"))  # type: ignore[assignment]


TOUCHY = Touchy()


def test_looking_for_locks_runs_no_code(watch: poolwatch.Watch, engine: Engine) -> None:
    """Whatever the names in a frame stand for, nothing of it is asked."""

    def beside_touchy(connection: Connection, own: Touchy) -> None:
        connection.execute(text(READS))
        _ = TOUCHY, own

    own = Touchy()
    Touchy.looked_up.clear()  # pytest has looked at this module
    with engine.connect() as connection:
        take_turns(lambda: beside_touchy(connection, own))
        assert kinds(watch) == ["crossing.interleaved"]
    assert Touchy.looked_up == []


def test_flow_goes_on_after_another(watch: poolwatch.Watch, postgres: Server) -> None:
    """A flow that goes on with an idle psycopg connection may use it on two threads, within one transaction."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool:
        with poolwatch.scope("first"):
            connection = pool.getconn()
            connection.execute(READS)
            connection.commit()
        with poolwatch.scope("second"):
            for _ in range(2):
                in_threads(lambda: connection.execute(READS))
        pool.putconn(connection)
    assert kinds(watch) == []


@pytest.mark.parametrize("goes_on", [True, False])
def test_turns_of_what_was_started_in_one_flow(goes_on: bool, watch: poolwatch.Watch, engine: Engine) -> None:
    """What one flow has started may share a connection while it goes on; afterwards they have nothing in common."""
    begun = threading.Event()
    with engine.connect() as connection:

        def turns() -> None:
            begun.wait()
            take_turns(lambda: connection.execute(text("insert into orders values (1)")))

        starter = threading.Thread(target=turns)
        with poolwatch.scope("start up"):
            starter.start()
            if goes_on:
                begun.set()
                starter.join()
        begun.set()
        starter.join()
        assert kinds(watch) == ([] if goes_on else ["crossing.interleaved"])


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only", "conditional_savepoint"])
def test_flows_in_a_transaction_of_their_callers(mode: Any, watch: poolwatch.Watch, engine: Engine) -> None:
    """A test has all requests work in one transaction, which it rolls back at its end."""
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode=mode) as session:

            def use() -> None:
                session.execute(text(WRITES))
                session.commit()

            requests(use, 3)
            assert session.scalar(text("select count(*) from orders")) == 3
        outer.rollback()
    assert kinds(watch) == []


def test_both_come_in_at_once(watch: poolwatch.Watch, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that are looked at as new users at the same moment are both inside afterwards."""
    together, follow = threading.Barrier(2), crossing.user_changed

    def both(*args: Any) -> None:
        follow(*args)
        together.wait()

    with engine.connect() as connection:
        monkeypatch.setattr(crossing, "user_changed", both)

        def use() -> None:
            with contextlib.suppress(Exception):  # what SQLAlchemy makes of it is a matter of luck
                connection.execute(text(SLOW))

        in_threads(use, use)
        assert kinds(watch) == ["crossing.concurrent"]
