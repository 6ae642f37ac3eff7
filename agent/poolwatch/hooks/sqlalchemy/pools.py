"""Physical connections: what opens, detaches and closes them is wrapped, for every engine.

No listener is used: putting one in or out changes a list that other threads may be going through just then, which is an
error in the application.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.pool import Pool as SQLAlchemyPool
from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord

from poolwatch.guard import Guard
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.remedies import give_back
from poolwatch.ledger import Conn, Lease, Ledger
from poolwatch.ledger.connecting import Connecting
from poolwatch.senses import sockets
from poolwatch.senses.actor import current_loop

_ledger: Ledger
_guard: Guard
_conns: dict[int, Conn]


def install(ledger: Ledger, guard: Guard) -> None:
    """See the connections of every pool, also where the application has its own ``creator``."""
    global _ledger, _guard, _conns
    _ledger, _guard, _conns = ledger, guard, ledger.conns
    ledger.closers["sqlalchemy"] = give_back
    for cls, name, event, wrapper in _WRAPPERS:
        patch(guard, "sqlalchemy." + event, cls, name, wrapper(getattr(cls, name)))


def _connect(original: Any) -> Any:
    ledger = _ledger

    def connect(self: Any) -> Any:
        with Connecting(ledger):
            original(self)
        try:
            conn = unseen(self)
            _ledger.opened.append((conn.pool, max(0.0, time.time() - self.starttime)))
        except Exception as error:
            _guard.failed("sqlalchemy.connect", error)

    return connect


def _close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            conn = _conns.get(id(self))
            if conn is not None:
                conn.open = False  # a lease on it ends at checkin
                if conn.lease is None:
                    drop(self, conn)
        except Exception as error:
            _guard.failed("sqlalchemy.close", error)
        return original(self, *args, **kwargs)

    return close


def _detach(original: Any) -> Any:
    def detach(self: Any) -> None:
        record = self._connection_record
        original(self)
        if record is not None:
            _detached(record, self.dbapi_connection)

    return detach


def _detached(record: Any, connection: Any) -> None:
    """Take a lease out of the pool's numbers; it ends when its connection is closed."""
    try:
        conn = _conns.pop(id(record), None)
        if conn is None or conn.lease is None:
            return
        lease = conn.lease
        if lease.collected:  # SQLAlchemy detaches what it cannot return: an async connection that was dropped
            _end(lease)
        else:
            lease.own().detached = True
            _ledger.detached[id(connection)] = lease
    except Exception as error:
        _guard.failed("sqlalchemy.detach", error)


def _close_detached(original: Any) -> Any:
    def _close_connection(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            lease = _ledger.detached.pop(id(connection), None)
            if lease is not None:
                _end(lease)
        except Exception as error:
            _guard.failed("sqlalchemy.close_detached", error)
        return original(self, connection, *args, **kwargs)

    return _close_connection


_WRAPPERS = (
    (_ConnectionRecord, "_ConnectionRecord__connect", "connect", _connect),
    (_ConnectionRecord, "_ConnectionRecord__close", "close", _close),
    (_ConnectionFairy, "detach", "detach", _detach),
    (SQLAlchemyPool, "_close_connection", "close_detached", _close_detached),
)


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
