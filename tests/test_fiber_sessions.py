"""Sessions and connections that go on after a remedy took their connection: they work, or say what was lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    union,
)
from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, registry, scoped_session, sessionmaker

import poolwatch
from tests.servers import Server

SAYS_WHY = "poolwatch gave this connection back"
KEPT: list[Any] = []
METADATA = MetaData()
ORDERS = Table("orders", METADATA, Column("number", Integer, primary_key=True))
USERS = Table("users", METADATA, Column("number", Integer, primary_key=True))


class Order:
    """Something to flush."""

    def __init__(self, number: int) -> None:
        self.number = number


class User:
    """Something to flush that lives elsewhere."""

    def __init__(self, number: int) -> None:
        self.number = number


registry().map_imperatively(Order, ORDERS)
registry().map_imperatively(User, USERS)


def make_engine(path: Path, **options: Any) -> Engine:
    """Give an engine with one connection on a file that has the tables."""
    engine = create_engine(f"sqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=0.1, **options)
    METADATA.create_all(engine)
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine with one connection."""
    engine = make_engine(tmp_path / "shop.db")
    yield engine
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


def given_back(watch: poolwatch.Watch) -> int:
    """Give how many connections fibers gave back, which are all that was found."""
    found = watch.findings()
    assert {(finding.kind, finding.state) for finding in found} <= {("leak.owner_ended", "resolved")}
    times = sum(finding.count for finding in found)
    assert watch.snapshot().process.remedies.get("fiber", 0) == times
    return times


def used_up(engine: Engine) -> int:
    """Give how many connections are out."""
    return int(engine.pool.checkedout())  # type: ignore[attr-defined]


def test_it_goes_on(watch: poolwatch.Watch, engine: Engine) -> None:
    """A Session that only read uses another connection afterwards; what it has loaded and is to flush stays."""
    with Session(engine) as session, session.begin():
        session.add(Order(1))
    session = Session(engine)
    with poolwatch.fiber():
        order = session.scalars(select(Order)).one()
        with session.no_autoflush:
            session.add(Order(2))
            session.execute(text("select 1"))
    assert used_up(engine) == 0
    assert order.number == 1
    assert order in session
    assert used_up(engine) == 0
    session.commit()
    assert session.scalars(select(Order.number)).all() == [1, 2]
    session.close()
    assert given_back(watch) == 1


def test_in_its_own_block(watch: poolwatch.Watch, engine: Engine) -> None:
    """A block of the Session's around the fiber ends as it should."""
    with Session(engine) as session, session.begin():
        with poolwatch.fiber():
            session.execute(text("select 1"))
        session.add(Order(3))
    with Session(engine) as session:
        assert session.scalars(select(Order.number)).all() == [3]
    assert given_back(watch) == 1


def flush(session: Session) -> None:
    session.add(Order(1))
    session.flush()


def execute(session: Session) -> None:
    session.execute(insert(ORDERS), {"number": 1})
    session.execute(text("select 1"))


def execute_text(session: Session) -> None:
    session.execute(text("insert into orders values (1)"))


def execute_text_and_read(session: Session) -> None:
    session.execute(text("/* by hand */ insert into orders values (1)"))
    session.scalars(select(Order)).all()


def in_bulk(session: Session) -> None:
    session.bulk_save_objects([Order(1)])
    session.scalars(select(Order)).all()


def by_connection(session: Session) -> None:
    session.connection().execute(insert(ORDERS), {"number": 1})
    session.scalars(select(Order)).all()


def by_cursor(session: Session) -> None:
    session.connection().connection.cursor().execute("insert into orders values (1)")
    session.scalars(select(Order)).all()


def nested(session: Session) -> None:
    session.begin_nested()
    session.execute(text("select 1"))


WRITES = [flush, execute, execute_text, execute_text_and_read, in_bulk, by_connection, by_cursor, nested]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("goes_on", ["execute", "commit"])
def test_it_says_what_was_lost(watch: poolwatch.Watch, engine: Engine, write: Any, goes_on: str) -> None:
    """A Session that wrote does not commit as if it were all there: it must be rolled back, and goes on then."""
    session = Session(engine)
    try:
        raise LookupError
    except LookupError:  # that it serves to handle an error does not make it one
        poolwatch.fiber()(write)(session)
    assert used_up(engine) == 0
    with pytest.raises(ResourceClosedError, match=SAYS_WHY):
        session.execute(text("select 1")) if goes_on == "execute" else session.commit()
    session.rollback()
    write(session)
    session.commit()
    session.close()
    assert given_back(watch) == 1


def test_it_has_failed(watch: poolwatch.Watch, engine: Engine) -> None:
    """After an error nobody commits: the scoped Session of a worker is rolled back and serves the next job."""
    sessions = scoped_session(sessionmaker(engine))

    @poolwatch.fiber()
    def job(number: int) -> object:
        sessions.add(Order(7))
        sessions.flush()
        return number // (number - 1)

    with ThreadPoolExecutor(1) as worker:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                worker.submit(job, 1).result()
        assert worker.submit(poolwatch.fiber()(lambda: sessions.scalars(select(Order.number)).all())).result() == []
    assert given_back(watch) == 3


def test_nothing_is_lost_where_all_is_committed(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """With autocommit, and after a commit, a Session that wrote goes on."""
    engine = make_engine(tmp_path / "shop.db", isolation_level="AUTOCOMMIT")
    session = Session(engine)
    poolwatch.fiber()(flush)(session)
    assert session.scalars(select(Order.number)).all() == [1]
    session.commit()
    with poolwatch.fiber():
        session.add(Order(2))
        session.commit()
        session.scalars(select(Order.number)).all()
    assert session.scalars(select(Order.number)).all() == [1, 2]
    session.close()
    assert given_back(watch) == 2
    engine.dispose()


@pytest.mark.parametrize("first", ["inside", "outside"])
def test_two_databases(watch: poolwatch.Watch, engine: Engine, tmp_path: Path, first: str) -> None:
    """Of a Session on two connections both are given back and counted; one taken before the fiber is kept."""
    other = make_engine(tmp_path / "users.db")
    session = Session(binds={Order: engine, User: other})
    if first == "outside":
        session.scalars(select(User)).all()
    with poolwatch.fiber():
        session.scalars(select(User)).all()
        session.scalars(select(Order)).all()
    assert (used_up(engine), used_up(other)) == (0, 0 if first == "inside" else 1)
    assert session.scalars(select(User)).all() == []
    if first == "inside":
        assert session.scalars(select(Order)).all() == []
    session.close()
    assert given_back(watch) == (2 if first == "inside" else 1)
    other.dispose()


def test_a_connection_says_why(watch: poolwatch.Watch, engine: Engine) -> None:
    """A bare connection, and a Session bound to one, say why they cannot be used; closing them is no harm."""
    with poolwatch.fiber():
        connection = engine.connect()
        connection.execute(insert(ORDERS), {"number": 1})
    with pytest.raises(ResourceClosedError, match=SAYS_WHY):
        connection.execute(text("select 1"))
    with pytest.raises(ResourceClosedError, match=SAYS_WHY):
        connection.commit()
    connection.rollback()
    connection.close()
    with poolwatch.fiber():
        session = Session(connection := engine.connect())
        session.execute(text("select 1"))
    with pytest.raises(ResourceClosedError, match=SAYS_WHY):
        session.execute(text("select 1"))
    session.close()
    connection.close()
    assert given_back(watch) == 2


READS = [
    select(literal(1)),
    select(func.count()).select_from(select(literal(1)).subquery()),
    select(literal(1)).where(exists(select(literal(1)))),
    union(select(literal(1)), select(literal(1))),
]
UNSURE = [
    text("select 1"),
    select(text("1")),
    select(func.set_config("poolwatch.tenant", "1", True)),
    select(literal(1)).where(func.pg_try_advisory_xact_lock(1)),
    select(literal(1)).select_from(text("pg_class")).with_for_update(read=True).limit(0),
    select(literal(1)).prefix_with("all"),
    select(insert(ORDERS).values(number=1).returning(ORDERS.c.number).cte()),
]


@pytest.mark.parametrize("way", ["execute", "scalar"])
def test_what_is_proved(watch: poolwatch.Watch, postgres: Server, way: str) -> None:
    """A Session goes on where all it ran is known to change nothing; what cannot be known counts as a change."""
    engine = create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0, pool_timeout=1)
    METADATA.create_all(engine)
    with Session(engine) as session:
        for statement in READS * 2:
            assert poolwatch.fiber()(getattr(session, way))(statement) is not None
            session.commit()
        for statement in UNSURE * 2:
            poolwatch.fiber()(getattr(session, way))(statement)
            with pytest.raises(ResourceClosedError, match=SAYS_WHY):
                session.commit()
            session.rollback()
        poolwatch.fiber()(lambda: [session.scalar(each) for each in READS])()
        assert session.scalar(select(func.count()).select_from(ORDERS)) == 0
    assert used_up(engine) == 0
    METADATA.drop_all(engine)
    engine.dispose()
    assert given_back(watch) == 2 * len(READS + UNSURE) + 1


def answers(session: Session) -> None:
    @event.listens_for(session, "do_orm_execute")
    def answer(state: Any) -> Any:
        return session.connection().execute(text("select 1"))


def uses_a_cursor(session: Session) -> None:
    @event.listens_for(session, "do_orm_execute")
    def audit(_: Any) -> None:
        session.connection().connection.cursor().execute("select 1")


def begins(session: Session) -> None:
    @event.listens_for(session, "after_begin")
    def prepare(_session: Any, _transaction: Any, connection: Any) -> None:
        connection.execute(text("set local statement_timeout = '9s'"))


@pytest.mark.parametrize("listen", [answers, uses_a_cursor, begins])
def test_what_listeners_do_counts(watch: poolwatch.Watch, postgres: Server, listen: Any) -> None:
    """What a listener runs beside a Select, or in its stead, is no Select of the Session's."""
    engine = create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0, pool_timeout=1)
    with Session(engine) as session:
        listen(session)
        assert poolwatch.fiber()(session.execute)(select(literal(1))) is not None
        with pytest.raises(ResourceClosedError, match=SAYS_WHY):
            session.commit()
        session.rollback()
    engine.dispose()
    assert given_back(watch) == 1


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg_async"])
def test_async(watch: poolwatch.Watch, postgres: Server, driver: str) -> None:
    """An AsyncSession goes on likewise, on its own loop; what it loaded can be read without another statement."""

    async def main() -> None:
        engine = create_async_engine(postgres.url(driver), pool_size=1, max_overflow=0, pool_timeout=1)

        @poolwatch.fiber()
        async def read(session: AsyncSession) -> int:
            return (await session.scalars(select(literal(1)))).one()

        @poolwatch.fiber()
        async def write(session: AsyncSession) -> None:
            await session.execute(text("create temporary table a_few (number int)"))
            await session.execute(text("insert into a_few values (1)"))

        async with AsyncSession(engine) as session, session.begin():
            assert [await read(session), await read(session)] == [1, 1]
            assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        async with AsyncSession(engine) as session:
            await write(session)
            with pytest.raises(ResourceClosedError, match=SAYS_WHY):
                await session.commit()
            await session.rollback()
            assert await read(session) == 1
        await engine.dispose()

    asyncio.run(main())
    assert given_back(watch) == 4


def test_reclaimed(postgres: Server) -> None:
    """What an ended thread's Session held is given back through it: it goes on where somebody kept it."""
    watch = poolwatch.install(interval=0.02, grace=0.1, reclaim=("owner_ended",))
    engines = [create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0, pool_timeout=30) for _ in range(2)]
    KEPT.append(Session(binds={Order: engines[0], User: engines[1]}))
    try:
        worker = threading.Thread(target=lambda: [KEPT[0].connection({"mapper": each}) for each in (Order, User)])
        worker.start()
        worker.join()
        until = time.monotonic() + 30
        while any(map(used_up, engines)) and time.monotonic() < until:
            time.sleep(0.02)
        assert [KEPT[0].scalar(text("select 1"), bind_arguments={"bind": engine}) for engine in engines] == [1, 1]
        KEPT.pop().close()
        assert list(map(used_up, engines)) == [0, 0]
        assert {finding.state for finding in watch.findings()} == {"resolved"}
        assert watch.snapshot().process.hook_errors == {}
    finally:
        watch.uninstall()
        for engine in engines:
            engine.dispose()


def test_reclaimed_after_a_write(postgres: Server) -> None:
    """A Session of an ended thread that wrote, whatever it ran last, does not commit what is lost."""
    watch = poolwatch.install(interval=0.02, grace=0.1, reclaim=("owner_ended",))
    engine = create_engine(postgres.url("psycopg"), pool_size=1, max_overflow=0)
    METADATA.create_all(engine)
    KEPT.append(Session(engine))
    try:
        worker = threading.Thread(target=lambda: execute_text_and_read(KEPT[0]))
        worker.start()
        worker.join()
        until = time.monotonic() + 30
        while used_up(engine) and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(ResourceClosedError, match=SAYS_WHY):
            KEPT[0].commit()
        KEPT.pop().close()
    finally:
        watch.uninstall()
        METADATA.drop_all(engine)
        engine.dispose()
