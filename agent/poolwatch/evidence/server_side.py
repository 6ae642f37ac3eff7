"""What a database server says of itself, over a connection of our own: read-only, short, named ``poolwatch``.

Never from a watched pool: what is asked must not take what the application needs. The drivers are the application's
own choice, so each is imported only when a server is to be asked.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from poolwatch.errors import PoolwatchError
from poolwatch.evidence.target import Target

NAME = "poolwatch"
_CONNECT_SECONDS = 3
_STATEMENT_SECONDS = 2
_POSTGRESQL_LIMITS = """
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true), '0')::int, pg_backend_pid()
"""
# Of other users' sessions an ordinary user sees that they are there, and in which database, but not from where.
_POSTGRESQL_SESSIONS = """
SELECT pid, host(client_addr), client_port FROM pg_stat_activity
WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)
"""
_MYSQL_LIMITS = "SELECT @@max_connections, 0, CONNECTION_ID()"
_MYSQL_SESSIONS = "SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE COMMAND NOT IN ('Daemon', 'Binlog Dump')"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server said at one moment."""

    max_connections: int
    reserved: int
    """Of these, connections kept for administrators."""
    connections: int
    others: tuple[str, ...]
    """Whence the sessions came (``address:port``), ours left out, where that can be seen."""


class Line(Protocol):
    """A connection to a server, by whatever driver."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement and give its rows; raises what the driver raises."""

    def close(self) -> None:
        """Close it."""


def addresses(target: Target) -> frozenset[str]:
    """Give every address of a server as pools know it (``address:port``); raises OSError where there is none."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return frozenset(_whence(to[0], to[1]) for *_, to in found)


def opener(target: Target) -> Callable[[], Line]:
    """Give what opens a line to a server, with the first driver that is installed; raises PoolwatchError."""
    drivers = _DRIVERS[target.dialect]
    for name, make in drivers.items():
        try:
            driver = importlib.import_module(name)
        except ImportError:
            continue
        return lambda: make(driver, target)
    names = " or ".join(drivers)
    raise PoolwatchError(f"a driver is needed to ask {target.name}. Install it with: pip install {names}")


def ask(line: Line, dialect: str) -> ServerFacts:
    """Ask a server for its limits and sessions; raises what the driver raises."""
    ((most, reserved, own),) = line.rows(_POSTGRESQL_LIMITS if dialect == "postgresql" else _MYSQL_LIMITS)
    sessions = line.rows(_POSTGRESQL_SESSIONS if dialect == "postgresql" else _MYSQL_SESSIONS)
    others = [_whence(*where) for pid, *where in sessions if pid != own]
    return ServerFacts(int(most), int(reserved), len(sessions), tuple(whence for whence in others if whence))


def _whence(host: Any, port: Any = None) -> str:
    """Give ``address:port``; empty where the session came by a file's socket, or it is not ours to see."""
    if port is None:  # MySQL has both in one
        return str(host or "") if ":" in str(host) else ""
    name = str(host or "")
    if not name or port <= 0:
        return ""
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


class _Dbapi:
    """A line by a driver of DB-API 2.0."""

    def __init__(self, connection: Any, *settings: str) -> None:
        self._connection = connection
        for setting in settings:
            self.rows(setting)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()

    def close(self) -> None:
        self._connection.close()


class _Asyncpg:
    """A line by asyncpg, with an event loop of its own."""

    def __init__(self, driver: Any, target: Target) -> None:
        import asyncio

        self._loop = asyncio.new_event_loop()
        options: dict[str, Any] = {"ssl": target.options["sslmode"]} if "sslmode" in target.options else {}
        try:
            self._connection = self._loop.run_until_complete(
                driver.connect(
                    host=target.host, port=target.port, user=target.user, password=target.password,
                    database=target.database, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS,
                    server_settings={"application_name": NAME, "default_transaction_read_only": "on"}, **options,
                )
            )  # fmt: skip
        except BaseException:
            self._loop.close()
            raise

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._loop.run_until_complete(self._connection.fetch(statement))]

    def close(self) -> None:
        try:
            self._connection.terminate()
            self._loop.run_until_complete(_nothing())  # what is to be done at the end of a connection is scheduled
        finally:
            self._loop.close()


async def _nothing() -> None:
    return


def _libpq(driver: Any, target: Target) -> Line:
    words = {
        "host": target.host, "port": target.port, "user": target.user, "password": target.password,
        "dbname": target.database, "connect_timeout": _CONNECT_SECONDS, "application_name": NAME, "keepalives_idle": 5,
        "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 5000,
    }  # fmt: skip
    given = {name: value for name, value in words.items() if value is not None}
    connection = driver.connect(**{**target.options, **given})
    connection.autocommit = True
    settings = "SET default_transaction_read_only = on", f"SET statement_timeout = '{_STATEMENT_SECONDS}s'"
    return _Dbapi(connection, *settings)


def _pymysql(driver: Any, target: Target) -> Line:
    connection = driver.connect(
        host=target.host, port=target.port, user=target.user, password=target.password or "", database=target.database,
        connect_timeout=_CONNECT_SECONDS, read_timeout=_STATEMENT_SECONDS, write_timeout=_STATEMENT_SECONDS,
        program_name=NAME, autocommit=True, **target.options,
    )  # fmt: skip
    return _Dbapi(connection, "SET SESSION TRANSACTION READ ONLY")


_DRIVERS: dict[str, dict[str, Callable[[Any, Target], Line]]] = {
    "postgresql": {"psycopg": _libpq, "psycopg2": _libpq, "asyncpg": _Asyncpg},
    "mysql": {"pymysql": _pymysql},
}
