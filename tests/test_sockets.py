"""Sockets: every driver's pooled connections are known by theirs, and only what belongs to no pool is claimed."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg2
import psycopg_pool
import pymysql
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool

import poolwatch
from poolwatch.config import Config
from poolwatch.detectors.sockets import orphan
from poolwatch.evidence.sockets import Sockets
from poolwatch.host.guard import Guard
from tests.launcher import environment, kinds, reported, script, until
from tests.launcher import poolwatch as command
from tests.servers import Server

ENOUGH = 3
"""Looks in a row after which something is said."""


class Looks:
    """Looks at the sockets of this process as the watcher does, only that it is always time to."""

    def __init__(self, watch: poolwatch.Watch, config: Config | None = None) -> None:
        self.guard = Guard()
        self._sockets = Sockets(config or Config(), self.guard)
        self._watch = watch

    def suspects(self, times: int = ENOUGH) -> list[Any]:
        """Look so many times, and give what is suspected then."""
        for _ in range(times):
            self._sockets._due = 0.0
            self._sockets.look(self._watch.ledger, time.monotonic())
        assert self.guard.errors.keys() <= {"test"}
        return list(self._sockets.suspects)

    def strays(self, times: int = ENOUGH) -> list[int]:
        """Look so many times, and give the file descriptors in no pool."""
        return [found.fd for found in self.suspects(times) if not found.pooled]


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Install with a watcher that does not look by itself while a test lasts."""
    gc.collect()  # what is left of earlier tests would be seen
    installed = poolwatch.install(interval=60)
    try:
        yield installed
        assert installed.snapshot().process.hook_errors == {}
    finally:
        installed.uninstall()


@pytest.fixture
def looks(watch: poolwatch.Watch) -> Looks:
    """Begin to look before anything is connected."""
    return Looks(watch)


def raw(server: Server) -> Any:
    """Connect past all pools."""
    if server.dialect == "postgresql":
        return psycopg.connect(server.dsn)
    return pymysql.connect(host=server.host, port=server.port, user=server.user, database=server.database)


def fd_of(connection: Any) -> int:
    """Give the file descriptor of a raw connection."""
    return int(connection.fileno() if hasattr(connection, "fileno") else connection._sock.fileno())


def judge(looks: Looks, server: Server) -> None:
    """Check that what the pools have is known, and that a connection past them is told from it."""
    assert looks.suspects() == []
    with closing(raw(server)) as connection:
        assert looks.strays() == [fd_of(connection)]
    assert looks.suspects(1) == []


def of_engine(server: Server, driver: str, looks: Looks) -> None:
    """Have a connection out and one idle, of a sync engine."""
    engine = create_engine(server.url(driver))
    with engine.connect() as connection, engine.connect():
        connection.execute(text("select 1"))
        engine.connect().close()
        judge(looks, server)
    engine.dispose()


def of_async_engine(server: Server, driver: str, looks: Looks) -> None:
    """Have a connection out and one idle, of an async engine."""

    async def go() -> None:
        engine = create_async_engine(server.url(driver))
        async with engine.connect() as connection, engine.connect():
            await connection.execute(text("select 1"))
            await (await engine.connect()).close()
            judge(looks, server)
        await engine.dispose()

    asyncio.run(go())


def of_psycopg_pool(server: Server, driver: str, looks: Looks) -> None:
    """Have a connection out and two idle."""
    with psycopg_pool.ConnectionPool(server.dsn, min_size=3, open=True) as pool:
        pool.wait()
        with pool.connection():
            judge(looks, server)


def of_asyncpg_pool(server: Server, driver: str, looks: Looks) -> None:
    """Have a connection out and two idle."""

    async def go() -> None:
        url = server.url("asyncpg").replace("+asyncpg", "")
        async with asyncpg.create_pool(url, min_size=3) as pool, pool.acquire():
            judge(looks, server)

    asyncio.run(go())


Case = tuple[str, str, Callable[[Server, str, Looks], None]]
DRIVERS: list[Case] = [
    ("postgres", "psycopg", of_engine),
    ("postgres", "psycopg2", of_engine),
    ("postgres", "psycopg", of_async_engine),
    ("postgres", "asyncpg", of_async_engine),
    ("postgres", "psycopg_pool", of_psycopg_pool),
    ("postgres", "asyncpg.Pool", of_asyncpg_pool),
    ("mariadb", "pymysql", of_engine),
    ("mariadb", "aiomysql", of_async_engine),
    ("mariadb", "asyncmy", of_async_engine),
]


@pytest.mark.parametrize(("database", "driver", "have"), DRIVERS, ids=lambda value: getattr(value, "__name__", value))
def test_every_driver_shows_its_socket(
    looks: Looks, request: pytest.FixtureRequest, database: str, driver: str, have: Any
) -> None:
    """What is out and what is idle is accounted for, by every driver; one connection past the pool is not."""
    have(request.getfixturevalue(database), driver, looks)


def test_what_is_said(watch: poolwatch.Watch, postgres: Server) -> None:
    """The watcher's own look gives one finding with the sockets, and resolves it when they are closed."""
    engine = create_engine(postgres.url("psycopg"))
    engine.connect().close()
    looks = watch._watcher._looks._sockets
    with closing(raw(postgres)) as connection:
        for now in (1e9, 2e9, 3e9):
            looks.look(watch.ledger, now)
        (finding,) = watch.findings()
        assert (finding.kind, finding.grade, finding.count) == ("orphan.socket", "probable", 1)
        (found,) = finding.lease["sockets"]
        assert (found["fd"], found["state"], found["pooled"]) == (connection.fileno(), "ESTABLISHED", False)
        assert found["peer"] == f"127.0.0.1:{postgres.port}"
        assert found["inode"] == os.fstat(connection.fileno()).st_ino
        (pool,) = [pool for pool in watch.snapshot().pools if pool.idle]
        assert pool.peers == (found["peer"],)
        assert len(pool.sockets) == 1
    looks.look(watch.ledger, 3e9, last=True)
    (finding,) = watch.findings()
    assert (finding.state, finding.resolution) == ("resolved", "no longer so")
    engine.dispose()


def test_what_is_opened_or_closed_soon_is_none(looks: Looks, postgres: Server) -> None:
    """Two looks are not enough, and another server's or nobody's connection is none at all."""
    engine = create_engine(postgres.url("psycopg"))
    engine.connect().close()
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_connection(other.getsockname()),
        closing(raw(postgres)) as connection,
    ):
        assert looks.strays(2) == []
        assert looks.strays(1) == [connection.fileno()]
    engine.dispose()


def test_what_was_there_before_is_none(watch: poolwatch.Watch, postgres: Server) -> None:
    """A connection from before the watch may be anybody's."""
    with closing(raw(postgres)):
        looks = Looks(watch)
        engine = create_engine(postgres.url("psycopg"))
        engine.connect().close()
        assert looks.suspects() == []
    engine.dispose()


def test_a_connect_under_way_is_none(looks: Looks, postgres: Server) -> None:
    """However long a pool's connect takes, its socket is the pool's; one that was there before it is not."""
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Any:
        connection = psycopg.connect(postgres.dsn)
        begun.set()
        assert go_on.wait(30)
        return connection

    ready = create_engine(postgres.url("psycopg"))
    ready.connect().close()
    with closing(raw(postgres)) as connection:
        assert looks.strays(1) == []
        engine = create_engine("postgresql+psycopg://", creator=slow)
        thread = threading.Thread(target=lambda: engine.connect().close())
        thread.start()
        try:
            assert begun.wait(30)
            assert looks.strays(6) == [connection.fileno()]
        finally:
            go_on.set()
            thread.join()
        assert looks.strays() == [connection.fileno()]
    for one in (ready, engine):
        one.dispose()


class Wrapped:
    """A driver's connection that somebody has put into a class of his own."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_unknown_driver_silences(looks: Looks, postgres: Server) -> None:
    """As long as a pool has a connection whose socket cannot be learnt, nothing new is claimed."""
    known = create_engine(postgres.url("psycopg2"))
    known.connect().close()
    wrapping = QueuePool(lambda: Wrapped(psycopg2.connect(postgres.dsn)))
    wrapping.connect().close()
    with closing(raw(postgres)) as connection:
        assert looks.strays(6) == []
        wrapping.dispose()
        assert looks.strays() == [connection.fileno()]
    known.dispose()


def test_reconnect_of_the_driver_silences(looks: Looks, mariadb: Server) -> None:
    """PyMySQL may open a new socket in the same connection: it is the pool's, though nobody has said so."""
    engine = create_engine(mariadb.url("pymysql"))
    with engine.connect(), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        looks.suspects(1)
        driver._force_close()
        driver.connect()
        assert looks.suspects(6) == []
    engine.dispose()


@pytest.mark.parametrize("how", ["failed", "off"])
def test_hook_that_is_out_silences(watch: poolwatch.Watch, postgres: Server, how: str) -> None:
    """Where a hook has failed or is off, a pool may have connections that nobody knows."""
    looks = Looks(watch, Config.of(hooks="sqlalchemy") if how == "off" else None)
    if how == "failed":
        looks.guard.failed("test", ValueError())
    engine = create_engine(postgres.url("psycopg"))
    engine.connect().close()
    with closing(raw(postgres)):
        assert looks.suspects(6) == []
    engine.dispose()


def end_all_others(server: Server) -> None:
    """Have the server close every other connection."""
    with closing(raw(server)) as connection:
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = ''"
                           " and pid <> pg_backend_pid() and backend_type = 'client backend'")  # fmt: skip


def test_dead_inside_a_pool(looks: Looks, postgres: Server) -> None:
    """An idle connection that the server has closed is dead, until the pool replaces it."""
    engine = create_engine(postgres.url("psycopg2"))
    engine.connect().close()
    assert looks.suspects() == []
    end_all_others(postgres)
    until(looks.suspects, 30)  # the server takes its time
    (found,) = looks.suspects(1)
    assert (found.pooled, found.in_use, found.state) == (True, False, "CLOSE_WAIT")
    engine.dispose()
    assert looks.suspects() == []


def test_dead_inside_a_pool_that_tests(looks: Looks, watch: poolwatch.Watch, postgres: Server) -> None:
    """Who tests what he lends has no dead connection but the one that is lent, and is not told to test."""
    engine = create_engine(postgres.url("psycopg2"), pool_pre_ping=True)
    taken = engine.connect()
    engine.connect().close()
    check = psycopg_pool.ConnectionPool.check_connection
    with psycopg_pool.ConnectionPool(postgres.dsn, min_size=2, check=check) as pool:
        pool.wait()
        end_all_others(postgres)
        until(looks.suspects, 30)
        (found,) = looks.suspects(ENOUGH)
        assert (found.pooled, found.in_use, found.library) == (True, True, "sqlalchemy")
        (finding,) = orphan(replace(watch.snapshot(), sockets=(found,)), Config())
        assert "pre_ping" not in finding.hint
        assert "in use is dead" in finding.summary
    taken.invalidate()
    taken.close()
    engine.dispose()


FORKED = """
import os, sys
import poolwatch, psycopg
from sqlalchemy import create_engine, text
watch = poolwatch.install(interval=60)
engine = create_engine(os.environ["POSTGRES_URL"].replace("postgresql", "postgresql+psycopg"))
engine.connect().close()
raw = psycopg.connect(os.environ["POSTGRES_URL"])
if os.fork() == 0:
    engine.dispose(close=False)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        own = psycopg.connect(os.environ["POSTGRES_URL"])
        for now in (1e9, 2e9, 3e9):
            watch._watcher._looks._sockets.look(watch.ledger, now)
        found = watch._watcher._looks._sockets.suspects
        print([s.fd for s in found] == [own.fileno()], len(watch.snapshot().pools[0].sockets), flush=True)
        own.close()
    os._exit(0)
os.wait()
raw.close()
engine.dispose()
"""


def test_what_came_over_a_fork_is_none(tmp_path: Path, postgres: Server) -> None:
    """In a child the parent's sockets are the parent's; its own stray connection is found."""
    words = [sys.executable, "-W", "ignore::DeprecationWarning", script(tmp_path, FORKED)]
    variables = environment(**postgres.variables)
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True 1\n", "")


PROGRAM = """
import os, threading, time
import psycopg
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["POSTGRES_URL"].replace("postgresql", "postgresql+psycopg"))
with engine.connect() as connection:
    connection.execute(text("select 1"))
def listen():
    with psycopg.connect(os.environ["POSTGRES_URL"]) as connection:
        connection.execute("listen orders")
        while not os.path.exists("seen"):
            time.sleep(0.05)
def look():
    import poolwatch
    while not poolwatch.install().findings():
        time.sleep(0.1)
    open("seen", "w").close()
threads = [threading.Thread(target=listen), threading.Thread(target=look)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
engine.dispose()
"""


def test_thread_past_the_pool(tmp_path: Path, postgres: Server) -> None:
    """Under `poolwatch run`, a thread that connects by itself to the database of a pool is an orphan socket."""
    target = tmp_path / "r.json"
    words = ["run", "--interval", "0.02", "--report", target, "--", script(tmp_path, PROGRAM)]
    done = command(*words, cwd=tmp_path, **postgres.variables)
    assert done.returncode == 0, done.stderr
    assert kinds(reported(target)) == ["orphan.socket"]
