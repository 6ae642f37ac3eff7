"""The test servers themselves: every driver reaches its server, and none is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, String, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool

from tests.servers import Server


class Base(DeclarativeBase):
    """Base of the tables here."""


class Command(Base):
    """A table that the fake server pretends to have."""

    __tablename__ = "command"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))


@pytest.fixture
def engine(mssql: Server) -> Iterator[Engine]:
    """Give an engine on the fake SQL Server."""
    engine = create_engine(mssql.url("pyodbc"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("kind", "driver"), [("postgres", "psycopg"), ("postgres", "psycopg2"), ("mariadb", "pymysql"), ("mssql", "pyodbc")]
)
def test_sync_driver_reaches_its_server(kind: str, driver: str, request: pytest.FixtureRequest) -> None:
    """A sync engine selects through every driver."""
    server: Server = request.getfixturevalue(kind)
    engine = create_engine(server.url(driver), poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize(
    ("kind", "driver"),
    [("postgres", "psycopg"), ("postgres", "asyncpg"), ("mariadb", "aiomysql"), ("mariadb", "asyncmy")],
)
def test_async_driver_reaches_its_server(kind: str, driver: str, request: pytest.FixtureRequest) -> None:
    """An async engine selects through every driver."""
    server: Server = request.getfixturevalue(kind)

    async def ask() -> object:
        engine = create_async_engine(server.url(driver), poolclass=NullPool)
        async with engine.connect() as connection:
            return await connection.scalar(text("SELECT 1"))

    assert asyncio.run(ask()) == 1


def test_fake_sql_server_answers_the_orm(engine: Engine) -> None:
    """A query of mapped classes, with and without parameters, gets rows from the fake SQL Server."""
    with Session(engine) as session:
        assert len(session.scalars(select(Command)).all()) == 20
        session.commit()
        found = session.scalars(select(Command).where(Command.name == "x").prefix_with("/* ROWS(1) */")).all()
        assert [command.id for command in found] == [1]


def test_busy_connection_refuses_a_second_statement(engine: Engine) -> None:
    """FreeTDS refuses a statement while rows of another are pending, as SQL Server's clients do."""
    with engine.connect() as connection:
        first = connection.execution_options(stream_results=True).execute(text("SELECT a AS a FROM t /* ROWS(5000) */"))
        first.fetchone()
        with pytest.raises(DBAPIError, match="Invalid cursor state"):
            connection.execute(text("SELECT 1"))


_STARTER = """
import sys, time
from tests import servers
with getattr(servers, sys.argv[1])() as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "mssql"])
def test_server_dies_with_its_starter(kind: str) -> None:
    """A server does not outlive the process that started it, even one that is killed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as left_behind:
        Path(left_behind).chmod(0o755)  # nobody, too, must get in
        pid = _kill_a_starter(kind, {**os.environ, "TMPDIR": left_behind})
        deadline = time.monotonic() + 10
        while _runs(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _runs(pid)


def _kill_a_starter(kind: str, environment: dict[str, str]) -> int:
    """Let another process start a server, and kill that process; gives the server's pid."""
    argv, root = [sys.executable, "-c", _STARTER, kind], Path(__file__).parents[1]
    with subprocess.Popen(argv, cwd=root, env=environment, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert _runs(pid)
        starter.send_signal(signal.SIGKILL)
    return pid


def test_command_line_passes_urls_and_status() -> None:
    """``python -m tests.servers`` gives its command the servers' addresses and ends with the command's status."""
    program = "import os; assert os.environ['MSSQL_URL'].startswith('mssql+pyodbc:'); raise SystemExit(7)"
    argv = [sys.executable, "-m", "tests.servers", "mssql", "--", sys.executable, "-c", program]
    assert subprocess.run(argv, cwd=Path(__file__).parents[1], env=os.environ).returncode == 7


def _runs(pid: int) -> bool:
    """Tell whether a process runs; a dead one that nobody has reaped yet does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
