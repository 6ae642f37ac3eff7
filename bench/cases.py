"""What is measured: operations on engines, each on SQLite in memory or on PostgreSQL, sync or async; and what
``bench.rigs`` has beside engines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy
import sqlalchemy.ext.asyncio as aio
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

CHECKOUT = "checkout, checkin"
SELECT = "connect, select 1, close"
ORM = "ORM Session read"
OPERATIONS = (CHECKOUT, SELECT, ORM)
GETCONN = "getconn, putconn"
ACQUIRE = "acquire, release"
GQL = "query"
REQUEST = "request without a lease"
SPANS = {
    0.0: f"{CHECKOUT} in a span, none sampled",
    0.01: f"{CHECKOUT} in a span, 1 % sampled",
    1.0: f"{CHECKOUT} in a sampled span",
}
"""By the share of spans that are sampled."""
SCRAPED = f"{CHECKOUT}, scraped each second"
SENT = {share: f"{SPANS[share]}, sent by OTLP" for share in (0.01, 1.0)}
"""By the share of spans that are sampled."""
EXPORTED = (SCRAPED, *SENT.values())
BESIDE_ENGINES = (GETCONN, ACQUIRE, GQL, REQUEST, *SPANS.values(), *EXPORTED)
SQLITE = {False: "sqlite://", True: "sqlite+aiosqlite://"}
ONE = text("select 1")

Once = Callable[[], object]
AsyncOnce = Callable[[], Awaitable[object]]


class Base(DeclarativeBase):
    """Root of the benchmark's one table."""


class Item(Base):
    """The row that the ORM reads."""

    __tablename__ = "bench_item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One operation on one database by a number of threads (sync) or tasks of one loop (async)."""

    operation: str
    url: str
    is_async: bool
    workers: int

    @property
    def database(self) -> str:
        """Give the database and driver, as in ``sqlite+pysqlite``."""
        url = sqlalchemy.make_url(self.url)
        return f"{url.get_backend_name()}+{url.get_driver_name()}"

    @property
    def workers_text(self) -> str:
        """Give the number of workers with what they are."""
        kind = "task" if self.is_async else "thread"
        return f"{self.workers} {kind}" + ("s" if self.workers > 1 else "")

    @property
    def on_engine(self) -> bool:
        """Tell whether it is an operation on a SQLAlchemy engine, with nothing around it."""
        return self.operation not in BESIDE_ENGINES

    def __str__(self) -> str:
        return f"{self.operation} · {self.database} · {self.workers_text}"


def cases(postgres_urls: dict[bool, str], workers: tuple[int, ...] = (1, 8)) -> list[Case]:
    """List every case; those on PostgreSQL where ``postgres_urls`` has a URL (key: is it async)."""
    found = [Case(op, url, is_async, n) for is_async, url in SQLITE.items() for op in OPERATIONS for n in workers]
    for is_async, url in postgres_urls.items():
        operations = OPERATIONS if is_async else (SELECT, ORM)
        found += [Case(op, url, is_async, n) for op in operations for n in workers]
    return found


def cases_beside(postgres: str | None, graphql: str | None) -> list[Case]:
    """List what is measured beside engines; ``postgres`` and ``graphql`` are URLs of servers, None where none runs."""
    found = [Case(operation, SQLITE[False], False, 1) for operation in SPANS.values()]
    found += [Case(REQUEST, "http+wsgi://", False, 1), Case(REQUEST, "http+asgi://", True, 1)]
    if postgres is not None:
        pool, asyncpg = (
            sqlalchemy.make_url(postgres).set(drivername=f"postgresql+{name}") for name in ("psycopg_pool", "asyncpg")
        )
        found += [Case(GETCONN, str(pool), is_async, 1) for is_async in (False, True)]
        found.append(Case(ACQUIRE, str(asyncpg), True, 1))
    if graphql is not None:
        found.append(Case(GQL, graphql, False, 1))
    # last: a MeterProvider once set is the program's for good
    return found + [Case(operation, SQLITE[False], False, 1) for operation in EXPORTED]


def open_engine(case: Case) -> Engine:
    """Make the engine of a sync case with all its connections open and the table in place."""
    options: dict[str, Any] = {"check_same_thread": False} if case.url.startswith("sqlite") else {}
    # By attribute and not by name: OpenTelemetry replaces the function in its module.
    engine = sqlalchemy.create_engine(
        case.url, poolclass=QueuePool, pool_size=case.workers, max_overflow=0, connect_args=options
    )
    connections = [engine.connect() for _ in range(case.workers)]
    for connection in connections:
        fill(connection)
        connection.close()
    return engine


async def open_async_engine(case: Case) -> aio.AsyncEngine:
    """Make the engine of an async case with all its connections open and the table in place."""
    engine = aio.create_async_engine(case.url, poolclass=AsyncAdaptedQueuePool, pool_size=case.workers, max_overflow=0)
    connections = [await engine.connect() for _ in range(case.workers)]
    for connection in connections:
        await connection.run_sync(fill)
        await connection.close()
    return engine


def fill(connection: sqlalchemy.Connection) -> None:
    """Make the table with its one row; each SQLite connection in memory is a database of its own."""
    Base.metadata.create_all(connection)
    if connection.scalar(select(Item.id)) is None:
        connection.execute(sqlalchemy.insert(Item).values(id=1, name="one"))
    connection.commit()


def sync_once(operation: str, engine: Engine) -> Once:
    """Give the function that does the operation one time."""

    def checkout() -> None:
        engine.pool.connect().close()

    def select_one() -> None:
        with engine.connect() as connection:
            connection.execute(ONE)

    def read() -> None:
        with Session(engine) as session:
            session.scalars(select(Item)).all()

    return {CHECKOUT: checkout, SELECT: select_one, ORM: read}[operation]


def async_once(operation: str, engine: aio.AsyncEngine) -> AsyncOnce:
    """Give the coroutine function that does the operation one time."""

    async def checkout() -> None:
        async with engine.connect():
            pass

    async def select_one() -> None:
        async with engine.connect() as connection:
            await connection.execute(ONE)

    async def read() -> None:
        async with aio.AsyncSession(engine) as session:
            (await session.scalars(select(Item))).all()

    return {CHECKOUT: checkout, SELECT: select_one, ORM: read}[operation]
