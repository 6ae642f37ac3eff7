"""What drivers say of a transaction, by attribute and without a word to the server, and who is told of it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

import poolwatch
from poolwatch import model
from poolwatch.collecting import ended
from poolwatch.report import schema
from poolwatch.senses import driver
from poolwatch.text import render
from poolwatch.watcher.states import MOST_ASKED
from tests import reports
from tests.launcher import poolwatch as command
from tests.launcher import reported, script, until
from tests.servers import Server

KEPT: list[Any] = []
WRITTEN = text("create temporary table orders as select 1 as id")


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """Keep nothing after a test."""
    yield
    KEPT.clear()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("postgres", "psycopg"), ("postgres", "psycopg2"), ("postgres", "pg8000"), ("mariadb", "pymysql")],
)
def test_transaction_is_seen(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    """It is open from the first statement to the commit."""
    server: Server = request.getfixturevalue(kind)
    engine = create_engine(server.url(name))
    with engine.connect() as connection:
        native = driver.driver_connection(connection.connection)
        seen = [driver.in_transaction(native)]
        connection.execute(text("create temporary table orders (id int)"))
        connection.execute(text("insert into orders values (1)"))
        seen.append(driver.in_transaction(native))
        connection.commit()
        seen.append(driver.in_transaction(native))
    engine.dispose()
    assert seen == [False, True, False]


def test_listener_is_seen(postgres: Server) -> None:
    """A driver that calls the application for notifications says so."""

    async def asyncpgs() -> list[bool]:
        connection = await asyncpg.connect(postgres.url("asyncpg").replace("+asyncpg", ""))
        try:
            seen = [driver.is_listening(connection)]
            await connection.add_listener("orders", print)
            seen.append(driver.is_listening(connection))
            await connection.remove_listener("orders", print)
            return [*seen, driver.is_listening(connection)]
        finally:
            await connection.close()

    assert asyncio.run(asyncpgs()) == [False, True, False]
    with psycopg.connect(postgres.dsn) as connection:
        assert not driver.is_listening(connection)
        connection.add_notify_handler(print)
        assert driver.is_listening(connection)
    assert not driver.is_listening(sqlite3.connect(":memory:"))


def told(watch: poolwatch.Watch) -> tuple[bool | None, int | None]:
    """Give what the report of this process says of its only lease, once that is old enough to be asked about."""
    watch.findings()
    (lease,) = watch.report()["leases"]
    return lease["in_transaction"], lease["backend_pid"]


PIDS = {"postgres": "select pg_backend_pid()", "mariadb": "select connection_id()"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("postgres", "psycopg"), ("postgres", "psycopg2"), ("postgres", "pg8000"), ("mariadb", "pymysql")],
)
def test_report_says_what_the_driver_says(
    watch: poolwatch.Watch, kind: str, name: str, request: pytest.FixtureRequest
) -> None:
    """A lease that nothing is wrong with has its transaction and backend in the report, as they are at each look."""
    server: Server = request.getfixturevalue(kind)
    engine = create_engine(server.url(name), poolclass=NullPool)
    with engine.connect() as connection:
        until(lambda: told(watch)[0] is False)
        pid = connection.scalar(text(PIDS[kind])) if name != "pg8000" else None  # which does not tell it
        connection.execute(WRITTEN)
        if kind == "mariadb":
            connection.execute(text("insert into orders values (2)"))
        assert told(watch) == (True, pid)
        connection.commit()
        assert told(watch) == (False, pid)
        schema_problem = schema.problem(watch.report())
    assert schema_problem is None
    assert watch.findings() == ()


def test_report_says_it_of_async_drivers(watch: poolwatch.Watch, postgres: Server) -> None:
    """So it is behind SQLAlchemy's adapters."""

    async def main() -> None:
        engine = create_async_engine(postgres.url("asyncpg"))
        async with engine.connect() as connection:
            until(lambda: told(watch)[0] is False)
            pid = await connection.scalar(text(PIDS["postgres"]))
            assert told(watch) == (True, pid)
            await connection.rollback()
            assert told(watch) == (False, pid)
        await engine.dispose()

    asyncio.run(main())


def test_report_says_it_of_other_pools(watch: poolwatch.Watch, postgres: Server) -> None:
    """So it is where the pool is not SQLAlchemy's, and lends the driver's own connections."""
    with ConnectionPool(postgres.dsn, min_size=1, open=True) as pool, pool.connection() as connection:
        until(lambda: told(watch) == (False, connection.info.backend_pid))
        connection.execute("select 1")
        assert told(watch) == (True, connection.info.backend_pid)

    async def asyncpgs() -> None:
        url = postgres.url("asyncpg").replace("+asyncpg", "")
        async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection:
            until(lambda: told(watch) == (False, connection.get_server_pid()))
            async with connection.transaction():
                assert told(watch) == (True, connection.get_server_pid())

    asyncio.run(asyncpgs())


def test_nobody_tells_in_what_a_statement_runs(watch: poolwatch.Watch, postgres: Server) -> None:
    """While it executes, libpq does not say whether that is in a transaction; the backend is known."""
    engine = create_engine(postgres.url("psycopg2"), poolclass=NullPool)
    with engine.connect() as connection:
        until(lambda: told(watch)[1] is not None)
        pid = told(watch)[1]

        def sleep() -> None:
            with suppress(OperationalError):
                connection.execute(text("select pg_sleep(30)"))

        thread = threading.Thread(target=sleep)
        thread.start()
        until(lambda: told(watch) == (None, pid))
        with engine.connect() as other:
            other.execute(text("select pg_cancel_backend(:pid)"), {"pid": pid})
        thread.join()


def test_a_bounded_number_is_asked_about(watch: poolwatch.Watch) -> None:
    """Of very many leases the oldest are asked about at a look; at the last, all."""
    pool = QueuePool(lambda: sqlite3.connect(":memory:"), pool_size=0, max_overflow=-1)
    KEPT.extend(pool.connect() for _ in range(MOST_ASKED + 50))
    until(lambda: watch.findings() == () and is_known(watch.snapshot().leases[MOST_ASKED - 1]))
    assert [is_known(lease) for lease in watch.snapshot().leases] == [True] * MOST_ASKED + [False] * 50
    watch._watcher.look(final=True)
    assert all(map(is_known, watch.snapshot().leases))
    for lease in KEPT:
        lease.close()


def is_known(lease: model.Lease) -> bool:
    """Tell whether a driver has said something of a lease."""
    return lease.in_transaction is not None


def test_handles_are_left_alone(watch: poolwatch.Watch) -> None:
    """What is asked has the connection and is not the handle, whose finalizer whoever has it last must run."""
    engine = create_engine("sqlite://", poolclass=NullPool)
    connection = engine.connect()
    (lease,) = watch.leases_out()
    assert lease.carrier() is connection.connection._connection_record  # type: ignore[attr-defined]
    proxy = connection.connection
    proxy.detach()
    (detached,) = watch.leases_out()
    assert detached.carrier() is proxy, "the record has it no more"
    assert lease.carrier() is None
    connection.close()
    assert detached.carrier() is None


def owner_ends(engine: Engine) -> int:
    """Have a thread end with a connection that it has left in something global; gives the backend's pid."""
    thread = threading.Thread(target=keep, args=[engine])
    thread.start()
    thread.join()
    return int(KEPT.pop())


def keep(engine: Engine) -> None:
    """Take a connection and keep it, and the pid of its backend."""
    connection = engine.connect()
    KEPT.append(connection)
    KEPT.append(connection.scalar(text(PIDS["postgres"])))


def overdue(engine: Engine) -> int:
    """Keep a connection without using it."""
    keep(engine)
    return int(KEPT.pop())


@pytest.mark.parametrize(
    ("leaks", "kind"), [(owner_ends, "leak.owner_ended"), (overdue, "leak.overdue")], ids=["ended", "overdue"]
)
def test_findings_have_it_at_once(leaks: Callable[[Engine], int], kind: str, postgres: Server) -> None:
    """What is found of a lease that is out says of its transaction and backend, from the first look on."""
    watch = poolwatch.install(interval=60, grace=0, overdue_after=0.01 if leaks is overdue else 60)
    engine = create_engine(postgres.url("psycopg2"))
    try:
        pid = leaks(engine)
        until(watch.findings)
        for _ in range(2):
            (finding,) = watch.findings()
            assert finding.kind == kind
            assert (finding.lease["in_transaction"], finding.lease["backend_pid"]) == (True, pid)
            assert finding.stacks["checkout"]
        KEPT.pop().close()
    finally:
        watch.uninstall()
        engine.dispose()


def test_detached_and_dropped(watch: poolwatch.Watch, postgres: Server) -> None:
    """Which backend a connection had that was dropped is known from before; its transaction is nobody's any more."""
    engine = create_engine(postgres.url("psycopg2"), poolclass=NullPool)
    connection: Connection | None = engine.connect()
    assert connection is not None
    connection.detach()
    pid = connection.scalar(text(PIDS["postgres"]))
    until(lambda: told(watch) == (True, pid))
    connection = None
    gc.collect()
    (finding,) = watch.findings()
    assert finding.kind == "leak.detached"
    assert (finding.lease["in_transaction"], finding.lease["backend_pid"]) == (None, pid)


def test_crossing_of_a_connection_that_is_back(watch: poolwatch.Watch, postgres: Server) -> None:
    """A crossing names the backend of that moment, though the watcher looks when the connection is back long since."""
    engine = create_engine(postgres.url("psycopg2"))
    with engine.connect() as connection:
        pid = connection.scalar(text(PIDS["postgres"]))
        (lease,) = watch.leases_out()
        thread = threading.Thread(target=connection.execute, args=[text("select pg_sleep(0.2)")])
        thread.start()
        until(lambda: lease.conn.inside is not None)
        connection.execute(text("select 1"))
        thread.join()
    engine.dispose()
    (finding,) = watch.findings()
    assert (finding.kind, finding.lease["backend_pid"]) == ("crossing.concurrent", pid)


KILLED = """
import glob, json, os, time
from sqlalchemy import create_engine, text
engine = create_engine(os.environ["URL"])
def take():
    connection = engine.connect()
    connection.execute(text("select 4711"))
    return connection
connection = take()
if os.fork() == 0:
    connection.execute(text("select 1"))
    os._exit(0)
os.wait()
own = f"{os.environ['POOLWATCH_DIR']}/{os.getpid()}-*.json"
until = time.monotonic() + 30
while time.monotonic() < until and not any('"in_transaction": true' in open(path).read() for path in glob.glob(own)):
    time.sleep(0.02)
print(connection.connection.dbapi_connection.info.backend_pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_killed_process(tmp_path: Path, postgres: Server) -> None:
    """What a killed process held is told with owner, line, statement and backend; so is its child's use of that."""
    program = script(tmp_path, KILLED)
    done = command(
        "run", "--report", "r.json", "--", sys.executable, program, cwd=tmp_path, URL=postgres.url("psycopg2")
    )
    report = reported(tmp_path / "r.json")
    assert schema.problem(report) is None
    found = {finding["kind"]: finding for finding in report["findings"]}
    assert found.keys() == {"leak.process_ended", "crossing.process"}
    assert {finding["lease"]["backend_pid"] for finding in found.values()} == {int(done.stdout)}
    finding = found["leak.process_ended"]
    pid = finding["pid"]
    assert finding["summary"] == (
        f"Process {pid} died without a last word while thread MainThread (pid {pid}) still held a connection, "
        f"taken at {program}:6 take."
    )
    assert (finding["lease"]["in_transaction"], finding["lease"]["last_statement"]) == (True, "select ?")
    assert all(
        words in render(report) for words in (f"transaction open, backend pid {done.stdout.strip()}", "select ?")
    )


def test_process_that_died_with_several() -> None:
    """Of many leases of one line the oldest is told of, with its user beside its owner; one without a line has none."""
    worker = model.Owner(10, "worker-2", "task", task="orders", key=2)
    leases = (
        reports.lease(),
        reports.lease(id=2, age_seconds=9.0, user=worker),
        reports.lease(id=3, site=None, age_seconds=9.0),
    )
    many, one = ended.died(reports.report(leases=leases, ended=None))["findings"]
    assert many["summary"] == (
        "Process 10 died without a last word and still held 2 connections, taken at /srv/shop/orders.py:42 take, "
        "the oldest of them by task orders on thread worker-2 (pid 10)."
    )
    assert [(owner["thread"], owner["alive"]) for owner in many["owners"]] == [("worker-1", False), ("worker-2", False)]
    assert one["summary"] == (
        "Process 10 died without a last word while thread worker-1 (pid 10) still held a connection."
    )
    assert [owner["thread"] for owner in one["owners"]] == ["worker-1"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has it from Python 3.12 on")
def test_sqlite_without_autocommit(tmp_path: Path) -> None:
    """Where sqlite3 begins a transaction as soon as one has ended, nobody knows whether the application has one."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"autocommit": False})
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        connection.commit()
        assert driver.in_transaction(driver.driver_connection(connection.connection)) is None
    engine.dispose()
