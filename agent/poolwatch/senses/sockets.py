"""Which socket a driver's connection speaks through: asked once, when the connection is new. No import.

The system gives every socket a number of its own (inode). It stays the same over fork, and no other socket that is
open has it; a file descriptor says neither.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable
from typing import Any

from poolwatch.host.native import original


class Socket:
    """The socket of one connection."""

    __slots__ = ("inode", "local")

    def __init__(self, inode: int) -> None:
        self.inode = inode
        """0 where it cannot be learnt."""
        self.local = ""
        """Its own ``address:port``, once the watcher has looked at sockets."""


NONE = Socket(0)
"""Stands for the socket of what speaks to no server: a file, or a client that is no database's."""
UNKNOWN = Socket(0)
"""Stands for a socket that this driver does not show."""

_poll = original("select", "poll")
_CUT = getattr(select, "POLLRDHUP", 0)
_FILES = {"sqlite3", "_sqlite3", "aiosqlite", "sqlcipher3", "pysqlcipher3", "duckdb"}


def of_connection(connection: Any) -> Socket:
    """Give the socket of a driver's own connection; never raises."""
    for cls in type(connection).__mro__:
        module = cls.__module__.partition(".")[0]
        if module in _FILES:
            return NONE
        if module in _READERS:
            return _read(_READERS[module], connection)
    return UNKNOWN


def descriptor(connection: Any) -> int | None:
    """Give the file descriptor that a driver's connection speaks through; None where it shows none; never raises."""
    readers = (_READERS.get(cls.__module__.partition(".")[0]) for cls in type(connection).__mro__)
    reader = next(filter(None, readers), None)
    try:
        return reader(connection) if reader else None
    except Exception:  # closed already, or another version of the driver
        return None


def is_cut(connection: Any) -> bool:
    """Tell whether the other side has closed a driver's connection; nothing is read. True where it shows no socket."""
    number = descriptor(connection)
    if number is None:
        return True
    try:
        asked = _poll()
        asked.register(number, _CUT)
        return bool(asked.poll(0))
    except Exception:  # another system, or closed meanwhile
        return False


def _read(reader: Callable[[Any], int], connection: Any) -> Socket:
    try:
        facts = os.fstat(reader(connection))
    except Exception:  # closed already, or another version of the driver
        return UNKNOWN
    return Socket(facts.st_ino) if stat.S_ISSOCK(facts.st_mode) else UNKNOWN


def _transport(transport: Any) -> int:
    number: int = transport.get_extra_info("socket").fileno()
    return number


_READERS: dict[str, Callable[[Any], int]] = {
    "psycopg": lambda connection: connection.pgconn.socket,
    "psycopg2": lambda connection: connection.fileno(),
    "asyncpg": lambda connection: _transport(connection._transport),
    "pymysql": lambda connection: connection._sock.fileno(),
    "aiomysql": lambda connection: _transport(connection._writer.transport),
    "asyncmy": lambda connection: _transport(getattr(connection, "_transport", None) or connection._writer.transport),
    "MySQLdb": lambda connection: connection.fileno(),
    "pg8000": lambda connection: connection._usock.fileno(),
}
"""By the driver's package."""
