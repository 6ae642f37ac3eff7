"""Leases: what lends a connection and what takes it back is wrapped, which costs less than listening to two events."""

from __future__ import annotations

from typing import Any

from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord

from poolwatch.errors import CrossingError
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.pools import drop, unseen
from poolwatch.hooks.sqlalchemy.remedies import drop_inherited
from poolwatch.hooks.sqlalchemy.statements import conn_of
from poolwatch.host.guard import Guard, is_hosts
from poolwatch.ledger import Ledger, crossing, handle_gone

_CHECKOUT = "sqlalchemy.checkout"
_CHECKIN = "sqlalchemy.checkin"
_OWN_FRAMES = 2
"""Between an application's ``pool.connect()`` and the ledger: SQLAlchemy's method and our wrapper."""
_ledger: Ledger
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """See every checkout and checkin of every pool."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    patch(guard, _CHECKOUT, _ConnectionFairy, "_checkout", staticmethod(_checkout(_ConnectionFairy._checkout)))
    patch(guard, _CHECKIN, _ConnectionRecord, "checkin", _checkin(_ConnectionRecord.checkin))
    if ledger.protect_fork:
        patch(guard, _CHECKOUT, _ConnectionRecord, "get_connection", _replace(_ConnectionRecord.get_connection))


def _checkout(original: Any) -> Any:
    def _checkout(pool: Any, threadconns: Any = None, fairy: Any = None) -> Any:
        lent = original(pool, threadconns, fairy)
        if fairy is not None:
            return lent  # whoever has it already asked again
        try:
            record = lent._connection_record
            try:
                conn = record._poolwatch
            except AttributeError:
                conn = unseen(record)
            if conn.pool.marks is not None:
                crossing.of_route(_ledger, conn.pool)
            _ledger.lend(conn, lent, _OWN_FRAMES)
        except BaseException as error:
            if isinstance(error, CrossingError) or is_hosts(error):
                _refuse(lent, error)
                raise
            _guard.failed(_CHECKOUT, error)
        return lent

    return _checkout


def _refuse(fairy: Any, error: BaseException) -> None:
    """Take a connection back that its taker will never see, as SQLAlchemy does where a listener raises."""
    record = fairy._connection_record
    conn = conn_of(record)
    if conn is not None and conn.lease is not None:
        _ledger.replace(conn, conn.lease)
    record._checkin_failed(error)


def _checkin(original: Any) -> Any:
    def checkin(self: Any, _fairy_was_created: bool = True) -> None:
        try:
            conn = self._poolwatch
            lease = conn.lease
            if lease is not None:
                # an older handle of this record, collected together with this lease's, is cleaned up first
                if lease() is None and not lease.collected:
                    handle_gone(lease)
                _ledger.give_back(conn, lease)
                if not conn.open and conn.lease is None:
                    drop(self, conn)
        except BaseException as error:
            if is_hosts(error):
                _give_back_after_all(self)
                raise
            if conn_of(self) is not None:  # without one it was a connect that failed
                _guard.failed(_CHECKIN, error)
        finally:
            original(self, _fairy_was_created)

    return checkin


def _give_back_after_all(record: Any) -> None:
    """Note a return that somebody else's exception interrupted: the connection does come back."""
    conn = conn_of(record)
    if conn is not None and conn.lease is not None:
        _ledger.give_back(conn, conn.lease)


def _replace(original: Any) -> Any:
    def get_connection(self: Any) -> Any:
        """Have an inherited connection replaced before anybody gets it."""
        try:
            conn = conn_of(self)
            if conn is not None and conn.foreign and self.dbapi_connection is not None:
                drop_inherited(_ledger, self)
        except Exception as error:
            _guard.failed(_CHECKOUT, error)
        return original(self)

    return get_connection


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
