"""Mistakes of clerks and threads. Each makes one, lets it be found at its ``yield``, then cleans up what it can."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from poolwatch.demo.shop import Order, open_branch
from poolwatch.demo.stage import Stage

COUNT = text("select count(*) from orders")
KEPT: list[Connection] = []
"""What a clerk forgets here is forgotten until the play is over."""


def in_threads(*works: Callable[[], object], first: int = 0) -> list[threading.Thread]:
    """Start a clerk for each of the works; ``first`` is the number of the first one."""
    threads = [threading.Thread(target=work, name=f"clerk-{n}", daemon=True) for n, work in enumerate(works, first)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    """Wait until all have ended."""
    for thread in threads:
        thread.join()


@contextmanager
def drop(stage: Stage) -> Iterator[None]:
    """Drop a connection without closing it."""
    engine = open_branch(stage.folder, "returns")

    def count_returns() -> None:
        engine.connect().execute(COUNT)

    count_returns()
    gc.collect()
    yield


@contextmanager
def keep(stage: Stage) -> Iterator[None]:
    """Let a thread end that has put its connection into a list."""
    engine = open_branch(stage.folder, "stock")

    def take_stock() -> None:
        connection = engine.connect()
        connection.execute(COUNT)
        KEPT.append(connection)

    join(in_threads(take_stock))
    yield


@contextmanager
def detach(stage: Stage) -> Iterator[None]:
    """Detach a connection from its pool, then drop it."""
    engine = open_branch(stage.folder, "export")

    def export() -> None:
        connection = engine.connect()
        connection.detach()
        connection.execute(COUNT)

    export()
    gc.collect()
    yield


@contextmanager
def dawdle(stage: Stage) -> Iterator[None]:
    """Hold a connection and do nothing with it."""
    engine = open_branch(stage.folder, "reports")
    coffee_is_out = threading.Event()

    def report() -> None:
        with engine.connect():
            coffee_is_out.wait()

    threads = in_threads(report)
    yield
    coffee_is_out.set()
    join(threads)


@contextmanager
def pay(stage: Stage) -> Iterator[None]:
    """Wait for a card terminal inside a transaction."""
    engine = open_branch(stage.folder, "payments")
    card_is_read = threading.Event()

    def checkout() -> None:
        with Session(engine) as session, session.begin():
            session.add(Order(item="tea"))
            session.flush()
            card_is_read.wait()

    threads = in_threads(checkout)
    yield
    card_is_read.set()
    join(threads)


# It takes some hundredths of a second, so that two of them overlap. (Not a function in Python: that would wait for the
# interpreter inside SQLite's lock, while the other thread waits for the lock inside the interpreter.)
SLOW = text("with recursive n(i) as (select 1 union all select i + 1 from n limit 100000) select max(i) from n")


def _at_once(session: Session | Connection) -> None:
    together = threading.Barrier(2)

    def bill() -> None:
        together.wait()
        with suppress(Exception):  # what SQLAlchemy makes of it is a matter of luck
            session.execute(SLOW)

    join(in_threads(bill, bill))


@contextmanager
def share_session(stage: Stage) -> Iterator[None]:
    """Let two threads use one Session at once."""
    with Session(open_branch(stage.folder, "invoices")) as session:
        session.execute(COUNT)
        _at_once(session)
        yield


@contextmanager
def share_connection(stage: Stage) -> Iterator[None]:
    """Let two threads use one Connection at once."""
    with open_branch(stage.folder, "till").connect() as connection:
        _at_once(connection)
        yield


@contextmanager
def take_turns(stage: Stage) -> Iterator[None]:
    """Pass one connection back and forth between two threads that serve different customers."""
    with open_branch(stage.folder, "counter").connect() as connection:

        def serve() -> None:
            for _ in range(3):
                connection.execute(COUNT)
                time.sleep(0.2)

        first = in_threads(serve)
        time.sleep(0.1)
        join(first + in_threads(serve, first=1))
        yield


@contextmanager
def exhaust(stage: Stage) -> Iterator[None]:
    """Ask for a third connection of two."""
    engine = open_branch(stage.folder, "hotline", timeout=0.4)

    with engine.connect(), engine.connect():
        join(in_threads(lambda: _call(engine)))
        yield


def _call(engine: Engine) -> None:
    with suppress(PoolTimeout), engine.connect():
        pass


@contextmanager
def deadlock(stage: Stage) -> Iterator[None]:
    """Let two threads that hold the only two connections ask for a second one each."""
    engine = open_branch(stage.folder, "transfers", timeout=1.0)
    both_hold = threading.Barrier(2)

    def transfer() -> None:
        with engine.connect() as connection:
            connection.execute(COUNT)
            both_hold.wait()
            _call(engine)

    threads = in_threads(transfer, transfer)
    yield
    join(threads)


@contextmanager
def block_loop(stage: Stage) -> Iterator[None]:
    """Wait for a sync pool on the thread of an event loop."""
    engine = open_branch(stage.folder, "chat", size=1, timeout=0.4)

    async def answer() -> None:
        _call(engine)

    with engine.connect():
        join(in_threads(lambda: asyncio.run(answer())))
        yield
