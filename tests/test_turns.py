"""Turns on one connection that somebody sees to: by a lock, wherever it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

import poolwatch
from tests.launcher import poolwatch as command
from tests.launcher import reported, script
from tests.test_crossing_flow import READS, kinds, take_turns


def ask(connection: Connection) -> None:
    """Read, and so leave a transaction of which SQLite does not tell."""
    connection.execute(text(READS))


class Loud(type(threading.RLock())):  # type: ignore[misc]
    """A lock of an application's own class."""


class Tracer:
    """What many enter at once."""

    def __enter__(self) -> None:
        """Let everybody in."""

    def __exit__(self, *error: object) -> None:
        """Let everybody out."""


class Database:
    """An application's own class around a connection."""

    everybodys = threading.Lock()

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition()
        self.loud = Loud()
        self.free = threading.Semaphore(2)
        self.locks: defaultdict[str, Any] = defaultdict(threading.Lock)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one in at a time."""
        with self.lock:
            yield

    def lock_for(self, tenant: str) -> Any:
        """Give the lock of a tenant."""
        return self.locks[tenant]

    @classmethod
    @contextlib.contextmanager
    def alone(cls) -> Iterator[None]:
        """Let one in at a time, whatever the object."""
        with cls.everybodys:
            yield


class Repository:
    """What stands between the application and its database."""

    def __init__(self) -> None:
        self.db = Database()


class Turn:
    """A block of the application's own."""

    def __enter__(self) -> None:
        """Wait for everybody else."""
        _MUTEX.acquire()

    def __exit__(self, *error: object) -> None:
        """Let the next one in."""
        _MUTEX.release()


_LOCKS: defaultdict[str, Any] = defaultdict(threading.Lock)
_STRIPES = [threading.Lock() for _ in range(4)]
_MUTEX, _SHARED, _TRACER = threading.Lock(), multiprocessing.Lock(), Tracer()
REPOSITORY = Repository()


def lock_for(tenant: str) -> Any:
    """Give the lock of a tenant."""
    return _LOCKS[tenant]


@contextlib.contextmanager
def unit_of_work() -> Iterator[None]:
    """Let one in at a time."""
    _MUTEX.acquire()
    try:
        yield
    finally:
        _MUTEX.release()


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """Let everybody in."""
    with _TRACER:
        yield


def everything() -> contextlib.ExitStack:
    """Enter all that is needed."""
    stack = contextlib.ExitStack()
    stack.enter_context(_TRACER)
    stack.enter_context(unit_of_work())
    return stack


def entered(connection: Connection) -> None:
    """Work with what somebody else has entered."""
    with everything() as stack:
        ask(connection)
        _ = stack


def waiting_for_news(connection: Connection) -> None:
    """Work as the one who changes what others wait for."""
    changed = REPOSITORY.db.changed
    with changed:
        ask(connection)
        changed.notify_all()


def in_a_dictionary(connection: Connection) -> None:
    """Work under the lock of a tenant."""
    with _LOCKS["a"]:
        ask(connection)


def by_a_helper(connection: Connection) -> None:
    """Work under a lock that is looked up elsewhere."""
    with lock_for("a"):
        ask(connection)


def by_a_method(connection: Connection) -> None:
    """Work under a lock that something that one has looks up."""
    with REPOSITORY.db.lock_for("a"):
        ask(connection)


def in_a_list(connection: Connection) -> None:
    """Work under one of few locks."""
    with _STRIPES[3]:
        ask(connection)


def two_attributes_away(connection: Connection) -> None:
    """Work under the lock of something that one has."""
    with REPOSITORY.db.lock:
        ask(connection)


def in_a_method(connection: Connection) -> None:
    """Work in a block of something that one has."""
    with REPOSITORY.db.turn():
        ask(connection)


def in_a_class_method(connection: Connection) -> None:
    """Work in a block of a class."""
    with Database.alone():
        ask(connection)


def in_a_function(connection: Connection) -> None:
    """Work in a block whose lock only its module knows."""
    with unit_of_work():
        ask(connection)


def in_an_object(connection: Connection) -> None:
    """Work in a block of the application's own class."""
    with Turn():
        ask(connection)


def under_a_class_attribute(connection: Connection) -> None:
    """Work under the lock of a class."""
    with REPOSITORY.db.everybodys:
        ask(connection)


def under_its_own_kind(connection: Connection) -> None:
    """Work under a lock of the application's own class."""
    with REPOSITORY.db.loud:
        ask(connection)


def of_all_processes(connection: Connection) -> None:
    """Work under a lock that processes share."""
    with _SHARED:
        ask(connection)


def each_its_own(connection: Connection) -> None:
    """Work under the lock of this thread."""
    with _LOCKS[threading.current_thread().name]:
        ask(connection)


def in_a_tracer(connection: Connection) -> None:
    """Work in a block that everybody may enter."""
    with _TRACER, contextlib.nullcontext(REPOSITORY), contextlib.suppress(KeyError):
        ask(connection)


def in_a_function_that_traces(connection: Connection) -> None:
    """Work in a function's block that everybody may enter."""
    with traced():
        ask(connection)


def as_one_of_two(connection: Connection) -> None:
    """Work where two are let in."""
    with REPOSITORY.db.free:
        ask(connection)


def after_all_locks(connection: Connection) -> None:
    """Let go of them before the work begins."""
    with _SHARED, REPOSITORY.db.lock, REPOSITORY.db.changed, lock_for("a"), unit_of_work():
        pass
    with everything() as stack:
        stack.close()
        ask(connection)


SEEN_TO = [
    in_a_dictionary, by_a_helper, by_a_method, in_a_list, two_attributes_away, in_a_method, in_a_class_method,
    in_a_function, in_an_object, under_a_class_attribute, under_its_own_kind, of_all_processes,
    waiting_for_news, entered,
]  # fmt: skip
LEFT_TO_LUCK = [each_its_own, in_a_tracer, in_a_function_that_traces, as_one_of_two, after_all_locks]


RAN: list[str] = []


class Noting(type):
    """Makes classes that note whatever runs of them."""

    def __eq__(cls, other: object) -> bool:
        RAN.append("==")
        return cls is other

    def __hash__(cls) -> int:
        RAN.append("hash")
        return 1

    def __getattribute__(cls, name: str) -> Any:
        RAN.append(name)
        return super().__getattribute__(name)


def noting(kind: type) -> Any:
    """Make an object of a class that notes what is asked of it."""

    def note(self: object, *args: object) -> Any:
        RAN.append(kind.__name__)
        raise SystemError(kind)

    asked = "__getattribute__", "__iter__", "__len__", "__eq__", "__hash__", "__getitem__", "__bool__", "values", "get"
    members = {**dict.fromkeys(asked, note), "db": property(note), "__class__": property(note)}
    return kind.__new__(Noting("Noted", (kind,), members))


MUTE = SimpleNamespace(**{kind.__name__: noting(kind) for kind in (dict, list, tuple, threading.Thread, Loud)})


def beside_all(connection: Connection) -> None:
    """Name what notes it when it is asked, and work under a lock of that kind."""
    mapping, several, few, thread, lock = vars(MUTE).values()
    with lock:
        ask(connection)
    if RAN:
        _ = mapping.db, several.db, few.db, thread.db, lock.db


def test_runs_no_code(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """Nothing is asked of what a frame names, nor of its class, and yet a lock that is held is known for one."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    with engine.connect() as connection:
        RAN.clear()  # pytest has looked at this module
        take_turns(functools.partial(beside_all, connection))
        assert RAN == []
    engine.dispose()
    assert kinds(watch) == []


def crossed(watch: poolwatch.Watch) -> set[str]:
    """Give the names of the databases whose connections were found in turns that nothing explains."""
    assert set(kinds(watch)) <= {"crossing.interleaved"}
    return {Path(finding.pool).stem for finding in watch.findings()}


def test_threads(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """Turns under one lock are no finding, wherever it is kept; those in what all may enter are left to luck."""
    for use in SEEN_TO + LEFT_TO_LUCK:
        file = f"{tmp_path}/{use.__name__}.db"
        engine = create_engine(f"sqlite:///{file}", connect_args={"check_same_thread": False})
        with engine.connect() as connection:
            take_turns(functools.partial(use, connection))
        engine.dispose()
    assert crossed(watch) == {use.__name__ for use in LEFT_TO_LUCK}


class Hub:
    """An application's own class for tasks."""

    def __init__(self) -> None:
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.lock, self.changed, self.limit = anyio.Lock(), asyncio.Condition(), anyio.Semaphore(1)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Let one in at a time."""
        async with self.lock:
            yield

    @contextlib.asynccontextmanager
    async def traced(self) -> AsyncIterator[None]:
        """Let everybody in."""
        yield


async def under_one_of_many(connection: AsyncConnection, hub: Hub) -> None:
    """Work under the lock of a room."""
    async with hub.locks["a"]:
        await connection.execute(text(READS))


async def under_anyios(connection: AsyncConnection, hub: Hub) -> None:
    """Work under a lock of anyio's."""
    async with hub.lock:
        await connection.execute(text(READS))


async def as_the_only_one(connection: AsyncConnection, hub: Hub) -> None:
    """Work under a semaphore of anyio's."""
    async with hub.limit:
        await connection.execute(text(READS))


async def under_a_condition(connection: AsyncConnection, hub: Hub) -> None:
    """Work as the one who changes what others wait for."""
    async with hub.changed:
        await connection.execute(text(READS))


async def in_an_async_block(connection: AsyncConnection, hub: Hub) -> None:
    """Work in a block that takes the lock."""
    async with hub.turn():
        await connection.execute(text(READS))


async def in_a_stack(connection: AsyncConnection, hub: Hub) -> None:
    """Work with what was entered before."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(hub.turn())
        await connection.execute(text(READS))


async def after_a_lock(connection: AsyncConnection, hub: Hub) -> None:
    """Let go of them before the work begins."""
    async with hub.turn(), hub.changed, hub.limit, hub.locks["a"]:
        pass
    async with hub.traced(), contextlib.nullcontext(hub):
        await connection.execute(text(READS))


TASKS_SEEN_TO = [
    under_one_of_many, under_anyios, as_the_only_one, under_a_condition, in_an_async_block, in_a_stack,
]  # fmt: skip


async def take_turns_in_tasks(turn: Callable[[], Awaitable[object]]) -> None:
    """Let two tasks take three turns each, and wait for the other's without saying so."""
    whose = [0]

    async def work(me: int) -> None:
        for _ in range(3):
            while whose[0] != me:
                await asyncio.sleep(0.001)
            await turn()
            whose[0] = 1 - me

    await asyncio.gather(work(0), work(1))


def test_tasks(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """The same for tasks: with asyncio's and anyio's locks, which say no more than that somebody holds them."""

    async def main() -> None:
        for use in [*TASKS_SEEN_TO, after_a_lock]:
            hub = Hub()
            engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/{use.__name__}.db")
            async with engine.connect() as connection:
                await take_turns_in_tasks(functools.partial(use, connection, hub))
            await engine.dispose()

    asyncio.run(main())
    assert crossed(watch) == {after_a_lock.__name__}


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, gevent.lock, threading
from sqlalchemy import create_engine, text
LOCKS = [
    gevent.lock.BoundedSemaphore(1), gevent.lock.RLock(), threading.Lock(), threading.RLock(), gevent.lock.Semaphore(2)
]
def work(me, lock, connection, whose):
    for _ in range(3):
        while whose[0] != me:
            gevent.sleep(0.001)
        with lock:
            connection.execute(text("select 1"))
        whose[0] = 1 - me
for number, lock in enumerate(LOCKS):
    with create_engine(f"sqlite:///{number}.db").connect() as connection:
        whose = [0]
        gevent.joinall([gevent.spawn(work, me, lock, connection, whose) for me in range(2)], raise_error=True)
"""


def test_greenlets(tmp_path: Path) -> None:
    """The same for gevent, with its own locks and those that it puts in the place of others."""
    done = command("run", "--report", "r.json", "--", sys.executable, script(tmp_path, GREENLETS), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {(one["kind"], Path(one["pool"]).stem) for one in reported(tmp_path / "r.json")["findings"]}
    assert found == {("crossing.interleaved", "4")}
