"""Use of asyncpg's connections, lent by a pool or not: the methods that send something, wrapped on their classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncpg.connection import Connection
from asyncpg.cursor import BaseCursor
from asyncpg.prepared_stmt import PreparedStatement

from poolwatch.errors import CrossingError
from poolwatch.hooks.asyncpg import singles
from poolwatch.hooks.asyncpg.singles import Single, known
from poolwatch.hooks.elsewhere import of_loop
from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Register, runs_here
from poolwatch.ledger import Event, Lease, crossing
from poolwatch.senses.actor import current, current_loop

_HOOK = "asyncpg.execute"
_ON_CONNECTION = ("_execute", "_executemany", "_prepare", "_copy_in", "_copy_out", "copy_records_to_table")
_register: Register


def install(register: Register) -> None:
    """See every use of every connection."""
    global _register
    _register, guard = register, register.guard
    for name in _ON_CONNECTION:
        patch(guard, _HOOK, Connection, name, _watched(getattr(Connection, name), _itself))
    patch(guard, _HOOK, Connection, "execute", _executing(Connection.execute))
    patch(guard, _HOOK, Connection, "__init__", _opening(Connection.__init__))
    name = "_PreparedStatement__do_execute"
    patch(guard, _HOOK, PreparedStatement, name, _watched(getattr(PreparedStatement, name), _of_resource))
    for name in ("_bind_exec", "_bind", "_exec"):
        patch(guard, _HOOK, BaseCursor, name, _watched(getattr(BaseCursor, name), _of_resource))


def _opening(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            singles.opened(_register.ledger, self)
        except Exception as error:
            _register.guard.failed(_HOOK, error)

    return __init__


def _itself(connection: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
    return connection, args[0] if args else None


def _of_resource(resource: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
    """Give the connection and text of a prepared statement or cursor."""
    return resource._connection, getattr(resource, "_query", None)


def _watched(original: Any, subject: Callable[[Any, tuple[Any, ...]], tuple[Any, Any]]) -> Any:
    direct = subject is _itself

    async def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        entered = _enter(*subject(self, args))
        if entered is None:
            return await original(self, *args, **kwargs)
        try:
            return await original(self, *args, **kwargs)
        finally:
            _leave(entered)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        single = known(id(self if direct else self._connection))
        if single is not None and single.theirs:  # SQLAlchemy's, whose own hooks see it: not even a coroutine of ours
            return original(self, *args, **kwargs)
        return watched(self, *args, **kwargs)

    return method


def _executing(original: Any) -> Any:
    """Watch ``execute`` as the others, but take no coroutine of ours to where a pool resets what came back to it."""
    watched, bodies = _watched(original, _itself), _register.bodies

    def execute(self: Any, query: str, *args: Any, timeout: float | None = None) -> Any:
        body = bodies.get(id(self))
        if args or body is None or body.conn.lease is not None:
            return watched(self, query, *args, timeout=timeout)
        return original(self, query, timeout=timeout)

    return execute


def _enter(connection: Any, statement: Any) -> Lease | Single | None:
    try:
        body = _register.bodies.get(id(connection))
        if body is None:
            return singles.enter(_register.ledger, connection)
        lease = body.conn.lease
        if lease is None:
            return None  # the pool's own work
        if not runs_here(connection._loop):
            _used_elsewhere(connection, lease)
        return lease if _register.ledger.enter(lease, statement if isinstance(statement, str) else None) else None
    except CrossingError:
        raise
    except Exception as error:
        _register.guard.failed(_HOOK, error)
        return None


def _leave(entered: Lease | Single) -> None:
    try:
        if isinstance(entered, Single):
            entered.inside = None
        else:
            _register.ledger.leave(entered)
    except Exception as error:
        _register.guard.failed(_HOOK, error)


def _used_elsewhere(connection: Any, lease: Lease) -> None:
    """Report a connection that was acquired at home and is used on another loop; an acquire elsewhere was reported."""
    if lease.conn.reported or lease.owner.loop is current_loop():
        return
    lease.conn.reported = True
    event = Event("loop", lease.conn.pool, lease, (lease.owner, lease.stack), (current(), _register.ledger.here(1)))
    event.overlap, event.detail = False, of_loop(lease.owner.loop)
    crossing.report(_register.ledger, event)
