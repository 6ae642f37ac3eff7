"""The shop as it should be: every connection is given back by the block that took it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

CLERKS = 4
TASKS = 3
ITEMS = ("tea", "coffee", "cocoa", "sugar")


class Base(DeclarativeBase):
    """The shop's tables."""


class Order(Base):
    """One thing sold."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]


_branches: list[Engine] = []


def open_branch(folder: Path, name: str, size: int = 2, timeout: float = 5.0) -> Engine:
    """Open a branch of the shop: a database of its own, with a pool of ``size`` connections."""
    url = f"sqlite:///{folder / name}.db"
    engine = create_engine(url, pool_size=size, max_overflow=0, pool_timeout=timeout, pool_logging_name=name)
    Base.metadata.create_all(engine)
    _branches.append(engine)
    return engine


def close_branches() -> None:
    """Close the idle connections of every branch."""
    while _branches:
        _branches.pop().dispose()


class Shop:
    """Clerks in threads and, where aiosqlite is installed, a web shop in asyncio tasks, selling until closed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = open_branch(folder, "shop", size=CLERKS - 1)
        self._closing = threading.Event()
        self._sold = [0] * (CLERKS + TASKS)
        self._threads = [threading.Thread(target=self._clerk, args=(n,), name=f"clerk-{n}") for n in range(CLERKS)]
        if find_spec("aiosqlite") and find_spec("greenlet"):
            self._threads.append(threading.Thread(target=lambda: asyncio.run(self._web_shop()), name="web-shop"))

    def __enter__(self) -> Shop:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()

    @property
    def sold(self) -> int:
        """Orders sold so far."""
        return sum(self._sold)

    def _clerk(self, number: int) -> None:
        while not self._closing.is_set():
            with Session(self._engine) as session, session.begin():
                session.add(Order(item=random.choice(ITEMS)))
                session.flush()
            self._sold[number] += 1
            time.sleep(random.uniform(0.005, 0.02))

    async def _web_shop(self) -> None:
        from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

        engine = create_async_engine(f"sqlite+aiosqlite:///{self._folder / 'web'}.db", pool_logging_name="web")
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

        async def visitor(number: int, engine: AsyncEngine) -> None:
            while not self._closing.is_set():
                async with engine.begin() as connection:
                    await connection.execute(text("insert into orders (item) values ('tea')"))
                self._sold[number] += 1
                await asyncio.sleep(random.uniform(0.005, 0.02))

        await asyncio.gather(*(visitor(CLERKS + n, engine) for n in range(TASKS)))
        await engine.dispose()
