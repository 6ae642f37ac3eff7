"""Physical connections: what opens, detaches and closes them is wrapped, for every engine.

No listener is used: putting one in or out changes a list that other threads may be going through just then, which is an
error in the application.
"""

from __future__ import annotations

import weakref
from time import time
from typing import Any

from sqlalchemy.pool import Pool as SQLAlchemyPool
from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord

from poolwatch.errors import CrossingError
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.closing import report_foreign
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.hooks.sqlalchemy.remedies import give_back
from poolwatch.hooks.sqlalchemy.statements import conn_of
from poolwatch.host.guard import Guard
from poolwatch.ledger import Conn, Ledger, detached
from poolwatch.ledger.connecting import Connecting
from poolwatch.senses import sockets
from poolwatch.senses.actor import current_loop

_ledger: Ledger
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """See the connections of every pool, also where the application has its own ``creator``."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    ledger.closers["sqlalchemy"] = give_back
    guard.add("sqlalchemy.connect", _forget_all)
    for cls, name, event, wrapper in _WRAPPERS:
        patch(guard, "sqlalchemy." + event, cls, name, wrapper(getattr(cls, name)))


def _connect(original: Any) -> Any:
    ledger = _ledger

    def connect(self: Any) -> Any:
        with Connecting(ledger):
            original(self)
        try:
            conn = unseen(self)
            _ledger.opened.append((conn.pool, max(0.0, time() - self.starttime)))
        except Exception as error:
            _guard.failed("sqlalchemy.connect", error)

    return connect


def _close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            conn = conn_of(self)
            if conn is not None:
                if conn.foreign and not kwargs.get("terminate"):
                    report_foreign(_ledger, self, conn)
                conn.open = False  # a lease on it ends at checkin
                if conn.lease is None:
                    drop(self, conn)
        except CrossingError:
            raise
        except Exception as error:
            _guard.failed("sqlalchemy.close", error)
        return original(self, *args, **kwargs)

    return close


def _detach(original: Any) -> Any:
    def detach(self: Any) -> None:
        record = self._connection_record
        original(self)
        if record is not None:
            _detached(record, self)

    return detach


def _detached(record: Any, fairy: Any) -> None:
    """Take a lease out of the pool's numbers; it ends when its connection is closed, or with its proxy."""
    try:
        conn = _forget(record)
        if conn is None or conn.lease is None:
            return
        lease = conn.lease
        if lease.collected:  # SQLAlchemy detaches what it cannot return: an async connection that was dropped
            detached.end(_ledger, lease)
        else:
            detached.detach(_ledger, lease, fairy, _guard)
    except Exception as error:
        _guard.failed("sqlalchemy.detach", error)


def _close_detached(original: Any) -> Any:
    def _close_connection(self: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
        _end_detached(id(connection), "sqlalchemy.close_detached")
        return original(self, connection, *args, **kwargs)

    return _close_connection


def _invalidate(original: Any) -> Any:
    def invalidate(self: Any, *args: Any, **kwargs: Any) -> None:
        key = id(self.dbapi_connection) if self._connection_record is None else None
        original(self, *args, **kwargs)
        if key is not None and self.dbapi_connection is None:  # a detached connection is not closed, but let go of
            _end_detached(key, "sqlalchemy.invalidate")

    return invalidate


def _end_detached(key: int, hook: str) -> None:
    try:
        lease = _ledger.detached.pop(key, None)
        if lease is not None:
            detached.end(_ledger, lease)
            _untie(lease())
    except Exception as error:
        _guard.failed(hook, error)


_WRAPPERS = (
    (_ConnectionRecord, "_ConnectionRecord__connect", "connect", _connect),
    (_ConnectionRecord, "_ConnectionRecord__close", "close", _close),
    (_ConnectionFairy, "detach", "detach", _detach),
    (_ConnectionFairy, "invalidate", "invalidate", _invalidate),
    (SQLAlchemyPool, "_close_connection", "close_detached", _close_detached),
)


def drop(record: Any, conn: Conn) -> None:
    """Forget a physical connection that is closed and back."""
    _forget(record)
    _ledger.retire(conn)


def _forget(record: Any) -> Conn | None:
    _ledger.conns.pop(id(record), None)
    conn: Conn | None = vars(record).pop("_poolwatch", None)
    return conn


def _forget_all() -> None:
    """Leave nothing on the records that there are, nor on what was detached."""
    for conn in list(_ledger.conns.values()):
        if conn.record is not None:
            _untie(conn.record())
    for lease in list(_ledger.detached.values()):
        _untie(lease())


def _untie(found: Any) -> None:
    if found is not None:
        vars(found).pop("_poolwatch", None)


def unseen(record: Any) -> Conn:
    """Begin to know the physical connection of a record; it is kept on the record, where it is found quickest."""
    home = home_of(record._ConnectionRecord__pool)
    before = conn_of(record)
    if before is not None:
        if before.lease is not None:
            _ledger.replace(before, before.lease)
        _ledger.retire(before)
    loop = current_loop() if home.pool.loop_bound else None
    conn = _ledger.conns[id(record)] = record._poolwatch = Conn(home.pool, home.serial, loop)
    conn.record = weakref.ref(record)
    conn.socket = sockets.of_connection(record.driver_connection)
    return conn


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
