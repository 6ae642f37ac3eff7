"""What is raised for the application while one of our hooks runs reaches it, and neither it nor its pool is the worse.

A signal's handler and an exception thrown into a thread surface wherever that thread is: rq, Celery and pytest-timeout
end jobs with them.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import asyncpg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import Engine, create_engine, text

import poolwatch
from poolwatch.hooks.sqlalchemy import loans, statements
from poolwatch.ledger import Ledger, ledger
from poolwatch.model import PoolState
from tests.servers import Server


class JobTimeout(Exception):
    """What the application's handler raises."""


def give_up(signum: int, frame: FrameType | None) -> None:
    """Raise in a signal's handler."""
    raise JobTimeout


def give_up_in(job: str, signum: int, frame: FrameType | None) -> None:
    """Raise in a handler that is told more."""
    raise JobTimeout(job)


class Job:
    """Handles a signal by a method, as rq does, or by being called."""

    def give_up(self, signum: int, frame: FrameType | None) -> None:
        """Raise."""
        raise JobTimeout

    def __call__(self, *args: Any) -> None:
        """Raise."""
        raise JobTimeout


def wrapped(*args: Any) -> None:
    """Pass a signal on."""
    raise TimeoutError


HANDLERS: dict[str, Callable[..., None]] = {
    "function": give_up,
    "method": Job().give_up,
    "partial": partial(give_up_in, "report"),
    "object": Job(),
    "any arguments, a builtin class": wrapped,
}


@pytest.fixture
def engine(watch: poolwatch.Watch, tmp_path: Path) -> Iterator[Engine]:
    """Give an engine on a file with one connection, which any thread may use."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db",
        logging_name=tmp_path.name,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.1,
        connect_args={"check_same_thread": False},
    )
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    yield engine
    engine.dispose()


def signalled(original: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Have the signal come once, before or after what a function does in the main thread, which handles signals."""
    due = [when]

    def come(now: str) -> None:
        if now in due and threading.current_thread() is threading.main_thread():
            due.clear()
            signal.raise_signal(signal.SIGUSR1)

    def call(*args: Any) -> Any:
        come("before")
        result = original(*args)
        come("after")
        return result

    return call


Interrupt = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupt]:
    """Give a block in which the signal comes once, before or after a function of ours; it must come out of it."""
    before = signal.getsignal(signal.SIGUSR1)

    @contextmanager
    def block(owner: Any, name: str, when: str, handler: Callable[..., None] = give_up) -> Iterator[None]:
        signal.signal(signal.SIGUSR1, handler)
        with pytest.raises((JobTimeout, TimeoutError)), monkeypatch.context() as patched:  # noqa: PT012 (it is a block)
            patched.setattr(owner, name, signalled(getattr(owner, name), when))
            yield

    yield block
    signal.signal(signal.SIGUSR1, before)


def work(engine: Engine) -> None:
    """Take, use and return a connection, which somebody else has used before."""
    with engine.connect() as connection:
        user = threading.Thread(target=lambda: connection.execute(text("select 1")))
        user.start()
        user.join()
        connection.execute(text("select 2"))


def state(watch: poolwatch.Watch, engine: Engine) -> PoolState:
    """Give the numbers of an engine's pool."""
    (found,) = [pool for pool in watch.snapshot().pools if pool.name == engine.logging_name]
    return found


def is_as_new(watch: poolwatch.Watch, engine: Engine) -> None:
    """See that the pool has all its slots, every lease is counted, and nothing is said of it."""
    gc.collect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    before = state(watch, engine).checkouts_total
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        (lease,) = watch.snapshot().leases
        assert (lease.statements, lease.executing) == (1, False)
    assert (state(watch, engine).used, state(watch, engine).checkouts_total) == (0, before + 1)
    assert [finding.kind for finding in watch.findings()] == []


POINTS = [
    (Ledger, "lend", "before"),
    (Ledger, "lend", "after"),
    (Ledger, "give_back", "before"),
    (Ledger, "give_back", "after"),
    (Ledger, "enter", "before"),
    (Ledger, "enter", "after"),
    (statements, "current", "before"),
    (statements, "current", "after"),
]


@pytest.mark.parametrize(("owner", "name", "when"), POINTS, ids=[f"{when} {name}" for _, name, when in POINTS])
def test_signal_in_a_hook(
    owner: Any, name: str, when: str, watch: poolwatch.Watch, engine: Engine, interrupted: Interrupt
) -> None:
    """What a handler raises within a hook comes out where the application called; the hook stays in."""
    with interrupted(owner, name, when):
        work(engine)
    is_as_new(watch, engine)


def test_signal_as_execution_begins(watch: poolwatch.Watch, engine: Engine, interrupted: Interrupt) -> None:
    """Who is interrupted before a statement began is not taken for executing it."""
    with engine.connect() as connection:
        user = threading.Thread(target=lambda: connection.execute(text("select 1")))
        user.start()
        user.join()
        with interrupted(ledger, "monotonic", "before"):
            connection.execute(text("select 2"))
        (lease,) = watch.snapshot().leases
        assert not lease.executing
    is_as_new(watch, engine)


def test_signal_as_it_is_returned(watch: poolwatch.Watch, engine: Engine, interrupted: Interrupt) -> None:
    """A connection whose return was interrupted is back in its pool at once, whoever still has its handle."""
    connection = engine.raw_connection()
    with interrupted(Ledger, "give_back", "after"):
        connection.close()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    is_as_new(watch, engine)


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS.keys())
def test_handlers(handler: Callable[..., None], watch: poolwatch.Watch, engine: Engine, interrupted: Interrupt) -> None:
    """Whatever kind of function a handler is, what it raises is known to be the application's."""
    with interrupted(statements, "current", "before", handler), engine.connect() as connection:
        connection.execute(text("select 1"))
    is_as_new(watch, engine)


def test_thrown_into_a_thread(watch: poolwatch.Watch, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that somebody throws into a thread by its number, within a hook, ends what that thread does."""
    seen: list[type[BaseException]] = []

    def job() -> None:
        throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
        monkeypatch.setattr(
            statements, "current", partial(throw, ctypes.c_ulong(threading.get_ident()), ctypes.py_object(JobTimeout))
        )
        try:
            with engine.connect() as connection:
                connection.execute(text("select 1"))
        except JobTimeout as error:
            seen.append(type(error))

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    monkeypatch.undo()
    assert seen == [JobTimeout]
    is_as_new(watch, engine)


def closed() -> Any:
    """Give a function in C of a library, which raises that library's error."""
    connection = sqlite3.connect(":memory:")
    connection.close()
    return connection.commit


@pytest.mark.parametrize(
    ("owner", "name", "broken", "hooks"),
    [
        (loans, "_ledger", None, {"sqlalchemy.checkout"}),
        (statements, "current", closed(), {"sqlalchemy.execute"}),
    ],
    ids=["ours", "a library's"],
)
def test_errors_that_are_not_the_applications(
    owner: Any, name: str, broken: Any, hooks: set[str], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What our code raises, or a library's that it calls, is counted and goes no further."""
    monkeypatch.setattr(owner, name, broken)
    work(engine)
    watch = poolwatch.installed()
    assert watch is not None
    errors = watch.snapshot().process.hook_errors
    assert errors.keys() == hooks
    watch._guard._errors.clear()


def _use_sync_pool(server: Server, interrupt: AbstractContextManager[None]) -> None:
    """Be interrupted with the only connection of a pool, then use it."""
    with ConnectionPool(server.dsn, min_size=1, max_size=1, timeout=3, open=True) as pool:
        for block in (interrupt, nullcontext()):
            with block, pool.connection() as connection:
                connection.execute("select 1")


async def _use_async_pool(server: Server, interrupt: AbstractContextManager[None]) -> None:
    async with AsyncConnectionPool(server.dsn, min_size=1, max_size=1, timeout=3, open=False) as pool:
        for block in (interrupt, nullcontext()):
            with block:
                async with pool.connection() as connection:
                    await connection.execute("select 1")


async def _use_asyncpg(server: Server, interrupt: AbstractContextManager[None]) -> None:
    pool = await asyncpg.create_pool(server.url("asyncpg").replace("+asyncpg", ""), min_size=1, max_size=1)
    try:
        for block in (interrupt, nullcontext()):
            with block:
                async with pool.acquire(timeout=3) as connection:
                    await connection.execute("select 1")
    finally:
        pool.terminate()  # a close would wait for what is lost


USES: dict[str, Callable[..., Any]] = {
    "psycopg_pool": _use_sync_pool,
    "async psycopg_pool": lambda *args: asyncio.run(_use_async_pool(*args)),
    "asyncpg": lambda *args: asyncio.run(_use_asyncpg(*args)),
}


@pytest.mark.parametrize(("name", "when"), [(name, when) for _, name, when in POINTS[:4]])
@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_drivers_pools(
    use: Callable[..., Any], name: str, when: str, watch: poolwatch.Watch, postgres: Server, interrupted: Interrupt
) -> None:
    """A connection of a driver's own pool that is interrupted on its way out or in is not lost to it."""
    use(postgres, interrupted(Ledger, name, when))
    assert {(pool.used, pool.timeouts_total) for pool in watch.snapshot().pools} == {(0, 0)}
    assert watch.findings() == ()
