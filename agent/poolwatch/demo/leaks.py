"""The shop's mistakes. Each scene makes one, lets it be found at its ``yield``, then cleans up what can be cleaned."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from poolwatch.demo.shop import Order, open_branch
from poolwatch.demo.stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """One mistake: the finding it leads to, the story, and how it is made."""

    kind: str
    story: str
    play: Callable[[Stage], AbstractContextManager[None]]


COUNT = text("select count(*) from orders")
KEPT: list[Connection] = []
"""What a clerk forgets here is forgotten until the play is over."""


def _in_threads(*works: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, name=f"clerk-{n}", daemon=True) for n, work in enumerate(works)]
    for thread in threads:
        thread.start()
    return threads


def _join(threads: list[threading.Thread]) -> None:
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

    _join(_in_threads(take_stock))
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

    threads = _in_threads(report)
    yield
    coffee_is_out.set()
    _join(threads)


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

    threads = _in_threads(checkout)
    yield
    card_is_read.set()
    _join(threads)


# It takes some hundredths of a second, so that two of them overlap. (Not a function in Python: that would wait for the
# interpreter inside SQLite's lock, while the other thread waits for the lock inside the interpreter.)
SLOW = text("with recursive n(i) as (select 1 union all select i + 1 from n limit 100000) select max(i) from n")


def _at_once(session: Session | Connection) -> None:
    together = threading.Barrier(2)

    def bill() -> None:
        together.wait()
        with suppress(Exception):  # what SQLAlchemy makes of it is a matter of luck
            session.execute(SLOW)

    _join(_in_threads(bill, bill))


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

        first = _in_threads(serve)
        time.sleep(0.1)
        _join(first + _in_threads(serve))
        yield


@contextmanager
def exhaust(stage: Stage) -> Iterator[None]:
    """Ask for a third connection of two."""
    engine = open_branch(stage.folder, "hotline", timeout=0.4)

    with engine.connect(), engine.connect():
        _join(_in_threads(lambda: _call(engine)))
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

    threads = _in_threads(transfer, transfer)
    yield
    _join(threads)


@contextmanager
def block_loop(stage: Stage) -> Iterator[None]:
    """Wait for a sync pool on the thread of an event loop."""
    engine = open_branch(stage.folder, "chat", size=1, timeout=0.4)

    async def answer() -> None:
        _call(engine)

    with engine.connect():
        _join(_in_threads(lambda: asyncio.run(answer())))
        yield


@contextmanager
def fork(stage: Stage) -> Iterator[None]:
    """Use in a forked child a connection that its parent has opened."""
    engine = open_branch(stage.folder, "night")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _night_shift(stage, engine, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        left = pipe.read()
    os.waitpid(child, 0)
    if left:
        stage.children.append(json.loads(left))
    yield


def _night_shift(stage: Stage, engine: Engine, writing: int) -> None:
    try:
        since = stage.watch.snapshot().at
        with engine.connect():
            stage.wait_for("crossing.process", since, 2.0)
        with open(writing, "wb") as pipe:
            pipe.write(json.dumps(stage.watch.report()).encode())
    finally:
        os._exit(0)


@contextmanager
def change_loop(stage: Stage) -> Iterator[None]:
    """Use an async engine on a second event loop."""
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{stage.folder / 'web2'}.db")

    async def visit(last: bool) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
        if last:
            await engine.dispose()

    asyncio.run(visit(last=False))
    asyncio.run(visit(last=True))
    yield


SCENES = (
    Scene("leak.collected", "A clerk drops a connection without closing it.", drop),
    Scene("leak.owner_ended", "A thread puts its connection into a list, and ends.", keep),
    Scene("leak.detached", "A connection is detached from its pool, and dropped.", detach),
    Scene("leak.overdue", "A clerk holds a connection and goes for coffee.", dawdle),
    Scene("hold.idle_in_transaction", "A transaction stays open while a customer looks for the card.", pay),
    Scene("crossing.session", "Two threads use one Session.", share_session),
    Scene("crossing.concurrent", "Two threads run statements on one connection at the same moment.", share_connection),
    Scene("crossing.interleaved", "Two threads take turns on one connection.", take_turns),
    Scene("starvation.exhausted", "Two connections are out, and a third is asked for.", exhaust),
    Scene("starvation.self_deadlock", "Two threads hold one connection each and want another.", deadlock),
    Scene("starvation.blocked_loop", "An event loop stands still while its thread waits for a pool.", block_loop),
    Scene("crossing.process", "A child process uses a connection its parent opened.", fork),
    *((Scene("crossing.loop", "An async engine is used on a second event loop.", change_loop),)
      if find_spec("aiosqlite") else ()),
)  # fmt: skip
