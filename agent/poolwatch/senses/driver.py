"""What the driver says of a connection: is a transaction open, which backend serves it. By attribute, no import.

Each reader takes the driver's own connection and does no I/O. For suspects and rare paths only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_IN_TRANSACTION = {2, 3}
"""libpq: INTRANS and INERROR; ACTIVE (1) is executing."""
_ACTIVE = 1
_MYSQL_IN_TRANSACTION, _MYSQL_AUTOCOMMIT = 1, 2
"""SERVER_STATUS_IN_TRANS and SERVER_STATUS_AUTOCOMMIT of the MySQL protocol's status flags."""


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


def is_executing(connection: Any) -> bool:
    """Tell whether a statement is under way on a driver's connection; false where the driver cannot say."""
    return bool(_first((lambda libpq: int(libpq.info.transaction_status) == _ACTIVE,), connection))


def backend_pid(connection: Any) -> int | None:
    """Give the server's process or thread id for a driver's connection; None where the driver cannot say."""
    found: int | None = _first(_BACKEND, connection)
    return found


def driver_connection(handle: Any) -> Any:
    """Give the innermost driver connection behind a pool's handle (SQLAlchemy's adapters unwrapped)."""
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
    return int(connection.info.transaction_status) in _IN_TRANSACTION


def _asyncpg(connection: Any) -> bool | None:
    return bool(connection.is_in_transaction())


def _flag(connection: Any) -> bool | None:
    value = connection.in_transaction
    return bool(value) if not callable(value) else None


def _mysql(connection: Any) -> bool | None:
    return bool(_mysql_status(connection) & _MYSQL_IN_TRANSACTION)


def _mysql_autocommit(connection: Any) -> bool | None:
    return bool(_mysql_status(connection) & _MYSQL_AUTOCOMMIT)


def _sqlite_autocommit(connection: Any) -> bool | None:
    if callable(connection.in_transaction):
        return None
    return connection.isolation_level is None or getattr(connection, "autocommit", None) is True


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


_TRANSACTION = (_libpq, _asyncpg, _flag, _mysql)
_AUTOCOMMIT = (_sqlite_autocommit, _mysql_autocommit)
_BACKEND = (
    lambda connection: int(connection.info.backend_pid),
    _call("get_server_pid"),
    _call("thread_id"),
    _call("_thread_id"),
)
