"""A forked child closes what its parent opened: the server ends the session for both, so that the child is told of."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.servers import Server

_HEAD = """
import os, sys, poolwatch
from sqlalchemy import create_engine, event, text
URL = sys.argv[1]
watch = poolwatch.install(interval=60, **OPTIONS)
engine = create_engine(URL, pool_size=3)
held = [engine.connect() for _ in range(3)]
for connection in held:
    connection.close()
def in_child(body):
    pid = os.fork()
    if pid == 0:
        try:
            body()
            found = watch.findings()
            print([(f.kind, f.grade, f.count, f.site.function) for f in found], flush=True)
        except BaseException as error:
            print(type(error).__name__, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
def selects():
    try:
        with engine.connect() as connection:
            return connection.scalar(text("select 7"))
    except Exception as error:
        return type(error).__name__
"""
TOLD = "[('crossing.process', 'suspected', 3, 'child')]"


def run(body: str, url: str, folder: Path, options: str = "{}") -> list[str]:
    """Run a program that forks; gives the lines printed by both processes."""
    program = _HEAD.replace("OPTIONS", options) + textwrap.dedent(body)
    command = [sys.executable, "-c", program, url]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


_DISPOSE = """
def child():
    engine.dispose()
in_child(child)
print(selects())
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_dispose_in_the_child_is_found(postgres: Server, tmp_path: Path, driver: str) -> None:
    """``dispose()`` in the child closes the parent's connections: one finding of all of them, and the parent fails."""
    assert run(_DISPOSE, postgres.url(driver), tmp_path) == [TOLD, "OperationalError"]


def test_strict_stops_it_before_harm_is_done(postgres: Server, tmp_path: Path) -> None:
    """In strict mode ``dispose()`` raises in the child, and the parent goes on with its connections."""
    body = _DISPOSE.replace("print(selects())", "print(selects(), selects())")
    assert run(body, postgres.url("psycopg2"), tmp_path, "{'strict': True}") == ["CrossingError", "7 7"]


def test_what_leaves_the_parent_in_peace_is_none(postgres: Server, tmp_path: Path) -> None:
    """Nothing is told of a child that lets go of them, at once or one by one, as SQLAlchemy's page says."""
    printed = run(
        """
        def lets_go():
            engine.dispose(close=False)
            print(selects())
        in_child(lets_go)
        def listens():
            from sqlalchemy import exc
            def checkout(dbapi_connection, record, proxy):
                if record.info.get("pid") != os.getpid():
                    record.dbapi_connection = proxy.dbapi_connection = None
                    raise exc.DisconnectionError("of the parent")
            event.listen(engine, "connect", lambda _, record: record.info.update(pid=os.getpid()))
            event.listen(engine, "checkout", checkout)
            print(selects())
        in_child(listens)
        """,
        postgres.url("psycopg2"),
        tmp_path,
    )
    assert printed == ["7", "[]"] * 2


def test_protect_fork_is_none(postgres: Server, tmp_path: Path) -> None:
    """What ``protect_fork`` has replaced is the child's own, and may be closed by it."""
    body = """
    def child():
        held = [engine.connect() for _ in range(3)]
        for connection in held:
            connection.close()
        engine.dispose()
    in_child(child)
    print(selects())
    """
    assert run(body, postgres.url("psycopg2"), tmp_path, "{'protect_fork': True}") == ["[]", "7"]


def test_what_the_server_has_ended_is_none(postgres: Server, tmp_path: Path) -> None:
    """Where the parent has disposed of its engine before, the child only closes its own end."""
    body = """
    import select
    ends = [record.dbapi_connection for record in list(engine.pool._pool.queue)]
    read, write = os.pipe()
    def child():
        os.read(read, 1)
        poll = select.poll()
        for end in ends:
            poll.register(end.fileno(), select.POLLRDHUP)
        while len(poll.poll(30_000)) < 3:
            pass
        engine.dispose()
    pid = os.fork()
    if pid == 0:
        child()
        print(watch.findings(), flush=True)
        os._exit(0)
    engine.dispose()
    os.write(write, b"x")
    os.waitpid(pid, 0)
    """
    assert run(body, postgres.url("psycopg2"), tmp_path) == ["()"]


def test_a_file_is_none(tmp_path: Path) -> None:
    """SQLite's connections may be closed on both sides."""
    assert run(_DISPOSE, f"sqlite:///{tmp_path}/shop.db", tmp_path) == ["[]", "7"]
