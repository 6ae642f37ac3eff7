"""Leases by pool events. Each listener is on the class Pool, so it reaches engines made before and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import CodeType
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool as SQLAlchemyPool

from poolwatch.errors import CrossingError
from poolwatch.guard import Guard
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.remedies import give_back, replace_inherited
from poolwatch.ledger import Conn, Lease, Ledger, crossing
from poolwatch.senses.actor import current_loop

_ledger: Ledger
_guard: Guard
_conns: dict[int, Conn]
_OWN_FRAMES = 4
"""Of SQLAlchemy between an application's ``pool.connect()`` and our listener, itself included, at the least."""


def checkout(dbapi_connection: Any, connection_record: Any, connection_proxy: Any) -> None:
    """Begin a lease."""
    try:
        conn = _conns.get(id(connection_record)) or _unseen(connection_record)
        if conn.foreign and _ledger.protect_fork:
            replace_inherited(_ledger, connection_record, connection_proxy)
        if conn.pool.marks is not None:
            crossing.of_route(_ledger, conn.pool)
        _ledger.lend(conn, connection_proxy, _OWN_FRAMES)
    except CrossingError:
        _take_back(connection_record)
        raise
    except DisconnectionError:
        raise  # SQLAlchemy connects anew
    except Exception as error:
        _guard.failed("sqlalchemy.checkout", error)


def checkin(dbapi_connection: Any, connection_record: Any) -> None:
    """End a lease; without one it was a reconnect that failed."""
    try:
        conn = _conns.get(id(connection_record))
        if conn is None or conn.lease is None:
            return
        _ledger.give_back(conn, conn.lease)
        if not conn.open and conn.lease is None:
            _drop(connection_record, conn)
    except Exception as error:
        _guard.failed("sqlalchemy.checkin", error)


def connect(dbapi_connection: Any, connection_record: Any) -> None:
    """Begin a physical connection."""
    try:
        conn = _unseen(connection_record)
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
                _drop(connection_record, conn)
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


def _drop(record: Any, conn: Conn) -> None:
    _conns.pop(id(record), None)
    _ledger.retire(conn)


def _end(lease: Lease) -> None:
    _ledger.give_back(lease.conn, lease)
    _ledger.retire(lease.conn)


def _unseen(record: Any) -> Conn:
    home = home_of(record._ConnectionRecord__pool)
    before = _conns.get(id(record))
    if before is not None:
        if before.lease is not None:
            _ledger.replace(before, before.lease)
        _ledger.retire(before)
    loop = current_loop() if home.pool.loop_bound else None
    conn = _conns[id(record)] = Conn(home.pool, home.serial, loop)
    return conn


def _take_back(record: Any) -> None:
    conn = _conns.get(id(record))
    if conn is not None and conn.lease is not None:
        _ledger.replace(conn, conn.lease)


_LISTENERS = (checkout, checkin, connect, close, detach, close_detached)


def install(ledger: Ledger, guard: Guard) -> None:
    """Listen to every pool."""
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
