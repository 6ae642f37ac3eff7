"""Physical connections by pool events. Each listener is on the class Pool, so it reaches every engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import CodeType
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool as SQLAlchemyPool

from poolwatch.guard import Guard
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.remedies import give_back
from poolwatch.ledger import Conn, Lease, Ledger
from poolwatch.senses import sockets
from poolwatch.senses.actor import current_loop

_ledger: Ledger
_guard: Guard
_conns: dict[int, Conn]


def connect(dbapi_connection: Any, connection_record: Any) -> None:
    """Begin a physical connection."""
    try:
        conn = unseen(connection_record)
        _ledger.opened.append((conn.pool, max(0.0, time.time() - connection_record.starttime)))
    except Exception as error:
        _guard.failed("sqlalchemy.connect", error)


def close(dbapi_connection: Any, connection_record: Any) -> None:
    """End a physical connection; a lease on it ends at checkin."""
    try:
        conn = _conns.get(id(connection_record))
        if conn is not None:
            conn.open = False
            if conn.lease is None:
                drop(connection_record, conn)
    except Exception as error:
        _guard.failed("sqlalchemy.close", error)


def detach(dbapi_connection: Any, connection_record: Any) -> None:
    """Take a lease out of the pool's numbers; it ends at ``close_detached``."""
    try:
        conn = _conns.pop(id(connection_record), None)
        if conn is None or conn.lease is None:
            return
        lease = conn.lease
        if lease.collected:  # SQLAlchemy detaches what it cannot return: an async connection that was dropped
            _end(lease)
        else:
            lease.own().detached = True
            _ledger.detached[id(dbapi_connection)] = lease
    except Exception as error:
        _guard.failed("sqlalchemy.detach", error)


def close_detached(dbapi_connection: Any) -> None:
    """End a detached lease."""
    try:
        lease = _ledger.detached.pop(id(dbapi_connection), None)
        if lease is not None:
            _end(lease)
    except Exception as error:
        _guard.failed("sqlalchemy.close_detached", error)


def drop(record: Any, conn: Conn) -> None:
    """Forget a physical connection that is closed and back."""
    _conns.pop(id(record), None)
    _ledger.retire(conn)


def _end(lease: Lease) -> None:
    _ledger.give_back(lease.conn, lease)
    _ledger.retire(lease.conn)


def unseen(record: Any) -> Conn:
    """Begin to know the physical connection of a record."""
    home = home_of(record._ConnectionRecord__pool)
    before = _conns.get(id(record))
    if before is not None:
        if before.lease is not None:
            _ledger.replace(before, before.lease)
        _ledger.retire(before)
    loop = current_loop() if home.pool.loop_bound else None
    conn = _conns[id(record)] = Conn(home.pool, home.serial, loop)
    conn.socket = sockets.of_connection(record.driver_connection)
    return conn


_LISTENERS = (connect, close, detach, close_detached)


def install(ledger: Ledger, guard: Guard) -> None:
    """Listen to the connections of every pool."""
    global _ledger, _guard, _conns
    _ledger, _guard, _conns = ledger, guard, ledger.conns
    ledger.closers["sqlalchemy"] = give_back
    for listener in _LISTENERS:
        name = listener.__name__
        event.listen(SQLAlchemyPool, name, listener)
        guard.add("sqlalchemy." + name, _remover(name, listener, listener.__code__), _silencer(listener))


def _remover(name: str, listener: Any, code: CodeType) -> Callable[[], None]:
    def remove() -> None:
        listener.__code__ = code
        event.remove(SQLAlchemyPool, name, listener)

    return remove


def _silencer(listener: Any) -> Callable[[], None]:
    # removing it would change a deque that other threads may be iterating over: an error in the application
    def silence() -> None:
        listener.__code__ = _nothing.__code__

    return silence


def _nothing(*arguments: Any) -> None:
    """Stand in for a listener that failed."""
