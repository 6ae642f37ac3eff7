"""What the driver says of a connection: is a transaction open, which backend serves it. By attribute, no import.

Each reader takes the driver's own connection and does no I/O: it may be asked while somebody else executes. For rare
paths, and at a look for suspects and a bounded number of other leases.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from functools import _lru_cache_wrapper
from typing import Any, NamedTuple

_IN_TRANSACTION = {2, 3}
"""libpq: INTRANS and INERROR; ACTIVE (1) is executing, and does not tell in what."""
_ACTIVE = 1
_MYSQL_IN_TRANSACTION, _MYSQL_AUTOCOMMIT = 1, 2
"""SERVER_STATUS_IN_TRANS and SERVER_STATUS_AUTOCOMMIT of the MySQL protocol's status flags."""


class State(NamedTuple):
    """What a driver has said of a connection, each None where it cannot."""

    in_transaction: bool | None = None
    backend_pid: int | None = None


UNKNOWN = State()
"""Of what was not asked."""


def state(carrier: Any, before: State | None = None) -> State:
    """Ask the driver of the connection that a pool's handle or record has; None where it has none any more.

    The backend is asked for once: it stays what it was ``before``.
    """
    connection = None if carrier is None else driver_connection(carrier)
    if connection is None:
        return State(None, before.backend_pid if before is not None else None)
    return State(in_transaction(connection), backend_pid(connection) if before is None else before.backend_pid)


def in_transaction(connection: Any) -> bool | None:
    """Tell whether a transaction is open on a driver's connection; None where the driver cannot say."""
    found: bool | None = _first(_TRANSACTION, connection)
    return found


def is_nobodys(connection: Any) -> bool:
    """Tell whether no statement or transaction is under way and what has run is committed; false where unknown.

    SQLite and MySQL may have no transaction open after a statement that reads, and yet open one at the next.
    """
    if in_transaction(connection) is not False or is_executing(connection):
        return False
    return _first(_AUTOCOMMIT, connection) is not False


def is_nothing_open(connection: Any) -> bool:
    """Tell whether no transaction is open, no statement under way and no result half read; false where unknown."""
    if in_transaction(connection) is not False or is_executing(connection):
        return False
    return not _first(_HALF_READ, connection)


def is_executing(connection: Any) -> bool:
    """Tell whether a statement is under way on a driver's connection; false where the driver cannot say."""
    return bool(_first((lambda libpq: int(libpq.info.transaction_status) == _ACTIVE,), connection))


def is_listening(connection: Any) -> bool:
    """Tell whether somebody waits for notifications on a driver's connection; false where the driver cannot say."""
    return bool(_first(_LISTENERS, connection))


def backend_pid(connection: Any) -> int | None:
    """Give the server's process or thread id for a driver's connection; None where the driver cannot say."""
    found: int | None = _first(_BACKEND, connection)
    return found


def is_closed(connection: Any) -> bool | None:
    """Tell whether a driver's connection is closed; None where the driver cannot say."""
    found: bool | None = _first(_CLOSED, connection)
    return found


def weakly(connection: Any, died: Callable[[object], None]) -> weakref.ref[Any] | None:
    """Refer weakly to a driver's connection, to one of sqlite3 by the cache that it has; None where that cannot be."""
    try:
        return weakref.ref(connection, died)
    except TypeError:
        caches = (part for part in gc.get_referents(connection) if type(part) is _lru_cache_wrapper)
        cache = next((cache for cache in caches if cache.__wrapped__ is connection), None)
        return None if cache is None else weakref.ref(cache, died)


def behind(ref: weakref.ref[Any] | None) -> Any:
    """Give the connection that is referred to by ``weakly``; None where it is gone."""
    found = None if ref is None else ref()
    return found.__wrapped__ if type(found) is _lru_cache_wrapper else found


def is_nobodys_any_more(ref: weakref.ref[Any]) -> bool:
    """Tell whether a connection (``weakly``) is gone, or left to itself: sqlite3's and its cache keep each other."""
    cache = ref()
    if type(cache) is not _lru_cache_wrapper:
        return cache is None
    connection = cache.__wrapped__
    kept = sum(part is connection for part in [*gc.get_referents(cache), *vars(cache).values()])
    return sys.getrefcount(connection) - kept <= _OURS


def driver_connection(handle: Any) -> Any:
    """Give the innermost driver connection behind a pool's handle or record (SQLAlchemy's adapters unwrapped)."""
    connection = getattr(handle, "dbapi_connection", handle)
    adapted = getattr(connection, "_connection", None)
    if type(connection).__name__.startswith("AsyncAdapt") and adapted is not None:
        return adapted
    return connection


def _first(readers: tuple[Callable[[Any], Any], ...], connection: Any) -> Any:
    for read in readers:
        try:
            value = read(connection)
        except Exception:  # a driver's attribute may be a property that raises once it is closed
            continue
        if value is not None:
            return value
    return None


def _libpq(connection: Any) -> bool | None:
    status = int(connection.info.transaction_status)
    return None if status == _ACTIVE else status in _IN_TRANSACTION


def _asyncpg(connection: Any) -> bool | None:
    return bool(connection.is_in_transaction())


def _flag(connection: Any) -> bool | None:
    if getattr(connection, "autocommit", None) is False:
        return None  # sqlite3 from 3.12 on begins a transaction as soon as one has ended: the flag says nothing
    value = connection.in_transaction
    return bool(value) if not callable(value) else None


def _pg8000(connection: Any) -> bool | None:
    return bool(connection._in_transaction)


def _mysql(connection: Any) -> bool | None:
    return bool(_mysql_status(connection) & _MYSQL_IN_TRANSACTION)


def _mysql_autocommit(connection: Any) -> bool | None:
    return bool(_mysql_status(connection) & _MYSQL_AUTOCOMMIT)


def _sqlite_autocommit(connection: Any) -> bool | None:
    if callable(connection.in_transaction):
        return None
    return connection.isolation_level is None or getattr(connection, "autocommit", None) is True


def _sqlite_half_read(connection: Any) -> bool | None:
    """Tell whether a cursor of sqlite3's has rows left to fetch: it keeps its statement for so long."""
    within = getattr(connection, "_conn", connection)  # aiosqlite's
    known = [ref for part in gc.get_referents(within) if type(part) is list for ref in part]
    cursors = [ref() for ref in known if type(ref) is weakref.ref]
    kinds = {type(part).__name__ for cursor in cursors if cursor is not None for part in gc.get_referents(cursor)}
    return "Statement" in kinds or None


def _mysql_status(connection: Any) -> int:
    status = getattr(connection, "server_status", None)
    if status is None:
        status = getattr(connection, "_server_status", None)
    if status is None:
        status = connection._result.server_status
    return int(status)


def _call(name: str) -> Callable[[Any], Any]:
    def read(connection: Any) -> Any:
        value = getattr(connection, name)
        return int(value()) if callable(value) else int(value)

    return read


def _closed(connection: Any) -> bool | None:
    value = connection.closed
    return bool(value) if not callable(value) else None


def _is_closed(connection: Any) -> bool | None:
    return bool(connection.is_closed())


def _not_open(connection: Any) -> bool | None:
    value = connection.open
    return not value if not callable(value) else None


def _sqlite_closed(connection: Any) -> bool | None:
    try:
        return None if callable(connection.in_transaction) else False
    except Exception as error:
        return True if type(error).__name__ == "ProgrammingError" else None


_CLOSED = (
    _closed,
    _is_closed,
    _not_open,
    lambda asyncmy: not asyncmy._connected,
    lambda pg8000: pg8000._usock is None,
    lambda aiosqlite: aiosqlite._connection is None,
    _sqlite_closed,
)
_OURS = 2
"""References to a connection that is asked about: a local name, and the argument of what counts them."""
_TRANSACTION = (_libpq, _asyncpg, _flag, _mysql, _pg8000)
_LISTENERS = (
    lambda asyncpgs: any(asyncpgs._listeners.values()),
    lambda psycopgs: bool(psycopgs._notify_handlers),
)
_HALF_READ = (
    lambda pymysql: bool(pymysql._result.unbuffered_active),
    lambda mysql_connector: bool(mysql_connector.unread_result),
    _sqlite_half_read,
)
_AUTOCOMMIT = (_sqlite_autocommit, _mysql_autocommit)
_BACKEND = (
    lambda connection: int(connection.info.backend_pid),
    _call("get_server_pid"),
    _call("thread_id"),
    _call("_thread_id"),
)
