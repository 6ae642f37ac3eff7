"""Use: every round trip of a lent connection passes ``Connection.wait``; ``execute`` of the cursors has the text."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection, AsyncCursor, AsyncServerCursor, Connection, Cursor, ServerCursor
from psycopg.pq import TransactionStatus

from poolwatch.errors import CrossingError
from poolwatch.hooks.borrowers import sqlalchemy_uses
from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Register
from poolwatch.ledger import Lease, crossing
from poolwatch.senses.actor import current

_HOOK = "psycopg_pool.execute"
_IDLE = TransactionStatus.IDLE
_register: Register


def install(register: Register) -> None:
    """See every use and every close of connections that belong to a pool."""
    global _register
    _register, guard = register, register.guard
    patch(guard, _HOOK, Connection, "wait", _wait(Connection.wait))
    patch(guard, _HOOK, Connection, "close", _close(Connection.close))
    patch(guard, _HOOK, AsyncConnection, "wait", _wait_async(AsyncConnection.wait))
    patch(guard, _HOOK, AsyncConnection, "close", _close_async(AsyncConnection.close))
    for sync in (Cursor, ServerCursor):
        patch(guard, _HOOK, sync, "execute", _execute(sync.execute))
    for asynchronous in (AsyncCursor, AsyncServerCursor):
        patch(guard, _HOOK, asynchronous, "execute", _execute_async(asynchronous.execute))


def _wait(original: Any) -> Any:
    def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        lease = _enter(self)
        if lease is None:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        except BaseException:
            _broken(self, lease)
            raise
        finally:
            _leave(lease)

    return wait


def _wait_async(original: Any) -> Any:
    async def wait(self: Any, *args: Any, **kwargs: Any) -> Any:
        lease = _enter(self)
        if lease is None:
            return await original(self, *args, **kwargs)
        try:
            return await original(self, *args, **kwargs)
        except BaseException:
            _broken(self, lease)
            raise
        finally:
            _leave(lease)

    return wait


def _execute(original: Any) -> Any:
    def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        _note(self, query)
        return original(self, query, *args, **kwargs)

    return execute


def _execute_async(original: Any) -> Any:
    async def execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        _note(self, query)
        return await original(self, query, *args, **kwargs)

    return execute


def _close(original: Any) -> Any:
    def close(self: Any) -> Any:
        original(self)
        _closed(self)

    return close


def _close_async(original: Any) -> Any:
    async def close(self: Any) -> Any:
        await original(self)
        _closed(self)

    return close


def _enter(connection: Any) -> Lease | None:
    body = _register.bodies.get(id(connection))
    lease = body.conn.lease if body is not None else None
    if lease is None:
        return None
    try:
        me = current()
        if lease.user is not me:
            if sqlalchemy_uses():
                _leave_to_sqlalchemy(lease)
                return None
            if connection.pgconn.transaction_status == _IDLE:
                crossing.hand_over(lease, me)
        return lease if _register.ledger.enter(lease, lease.statement) else None
    except CrossingError:
        raise
    except Exception as error:
        _register.guard.failed(_HOOK, error)
        return None


def _leave_to_sqlalchemy(lease: Lease) -> None:
    """Forget a lease of what a creator has got in another thread or task: SQLAlchemy's own lease tells of it."""
    _register.ledger.replace(lease.conn, lease)
    lease.conn.open = False


def _broken(connection: Any, lease: Lease) -> None:
    """Note that a connection did not survive a statement: its pool will not have it back."""
    try:
        if connection.closed:
            lease.conn.open = False
    except Exception as error:
        _register.guard.failed(_HOOK, error)


def _leave(lease: Lease) -> None:
    try:
        _register.ledger.leave(lease)
    except Exception as error:
        _register.guard.failed(_HOOK, error)


def _note(cursor: Any, query: Any) -> None:
    try:
        body = _register.bodies.get(id(cursor._conn))
        if body is not None and body.conn.lease is not None:
            body.conn.lease.statement = query if isinstance(query, str) else None
    except Exception as error:
        _register.guard.failed(_HOOK, error)


def _closed(connection: Any) -> None:
    """Note a close; where the pool is closed too, or is a null pool without a limit, nothing is lost by it."""
    try:
        body = _register.bodies.get(id(connection))
        if body is None or not connection.closed:
            return
        conn = body.conn
        conn.open = False
        pool = getattr(connection, "_pool", None)
        if conn.lease is not None and pool is not None and (pool.closed or not pool.max_size):
            _register.ledger.give_back(conn, conn.lease)
    except Exception as error:
        _register.guard.failed(_HOOK, error)
