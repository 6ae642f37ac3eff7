"""Leases and waits of ``asyncpg.Pool``: a lease begins with the proxy that the pool makes, and ends where ``release``
tells the connection.

Both are plain functions: what wraps a coroutine makes another of it, and is run through again whenever that resumes.
The handle of a lease is the connection: the proxy that the application holds has no weak references. The pool keeps
both, so a forgotten one is never collected; only its owner's end, or its age, can tell.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from asyncpg.connection import Connection
from asyncpg.pool import Pool as AsyncpgPool
from asyncpg.pool import PoolConnectionProxy

from poolwatch.errors import CrossingError
from poolwatch.hooks.elsewhere import report
from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Body, Home, Register, runs_here
from poolwatch.ledger import Conn, Wait, crossing
from poolwatch.ledger.connecting import Connecting
from poolwatch.senses.actor import current

_WORKERS = "its sockets are the parent's"
_looked: dict[int, Wait | None] = {}
"""By key of whoever acquires from a pool that was looked at: his wait, where he has to."""
_register: Register


def install(register: Register) -> None:
    """See every loan of every pool."""
    global _register
    _register = register
    register.ledger.closers["asyncpg"] = _closer
    for cls, name, wrapped in (
        (AsyncpgPool, "_acquire", _acquiring),
        (AsyncpgPool, "close", _closing),
        (AsyncpgPool, "_get_new_connection", _connecting),
        (PoolConnectionProxy, "__init__", _lending),
        (Connection, "_on_release", _releasing),
        (Connection, "_cleanup", _cleaning),
    ):
        patch(register.guard, register.hook, cls, name, wrapped(getattr(cls, name)))


def name_of(connection: Any) -> str:
    """Name the database of a connection as ``host:port/database``."""
    address = connection._addr
    server = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
    return f"{server}/{connection._params.database or ''}"


def _home_of(pool: Any, connection: Any = None) -> Home:
    return _register.homes.get(id(pool)) or _new_home(pool, connection)


def _new_home(pool: Any, connection: Any) -> Home:
    known = connection or next((holder._con for holder in pool._holders if holder._con is not None), None)
    name = name_of(known) if known is not None else "asyncpg"
    logical = _register.ledger.pool_for(name, "asyncpg", type(pool).__name__)
    logical.limits = (pool._minsize, pool._maxsize, None)
    logical.system = "postgresql"
    logical.tests = True  # it connects anew where a connection is closed
    # the pool itself has no weak references; its queue lives as long and belongs to nobody else
    home = _register.settle(id(pool), pool._queue, logical)
    if not runs_here(pool._loop):
        home.loop = None
    return home


def _acquiring(original: Any) -> Any:
    def _acquire(self: Any, timeout: float | None) -> Any:
        queue = getattr(self, "_queue", None)
        if queue is None or queue.empty():
            return _acquire_slowly(original, self, timeout)
        return original(self, timeout)

    return _acquire


async def _acquire_slowly(original: Any, pool: Any, timeout: float | None) -> Any:
    me, timed_out = _begin(pool), False
    try:
        return await original(pool, timeout)
    except asyncio.TimeoutError:
        timed_out = True
        raise
    finally:
        _register.waited(_looked.pop(me, None), timed_out)


def _lending(original: Any) -> Any:
    bodies, ledger = _register.bodies, _register.ledger

    def __init__(self: Any, holder: Any, con: Any) -> None:
        original(self, holder, con)
        try:
            looked = _looked and _has_looked()
            try:
                body = bodies[id(con)]
            except KeyError:
                body = _first_seen(holder._pool, con)
            conn, home = body.conn, body.home
            ledger.lend(conn, con, 1)
            if conn.lease.owner.loop is not home.loop or home.place.foreign or home.pool.marks is not None:  # type: ignore[union-attr]
                _look(holder._pool, conn, looked)
        except BaseException as error:
            _undo(con, error)

    return __init__


def _has_looked() -> bool:
    """Tell whether the pool was looked at before whoever runs here waited; what he waited for is his now."""
    me = current().key
    if me not in _looked:
        return False
    _register.waited(_looked.pop(me), False)
    return True


def _first_seen(pool: Any, connection: Any) -> Body:
    _register.add(_home_of(pool, connection), connection)
    return _register.bodies[id(connection)]


def _look(pool: Any, conn: Conn, looked: object) -> None:
    """Report a pool that does not live here or is not on the route in force; raises CrossingError in strict mode."""
    if conn.foreign:
        conn.reported = True  # what is to say of that is said of the pool
    if not looked:
        _check_route(pool)
        _check(pool)


def _undo(connection: Any, error: BaseException) -> None:
    """Note that the hook raised; where that is meant for the host, nobody got the connection, and the pool keeps it."""
    try:
        if isinstance(error, CrossingError):
            raise error
        _register.failed(error)
    except BaseException:
        connection._set_proxy(None)
        body = _register.bodies.get(id(connection))
        if body is not None and body.conn.lease is not None:
            _register.ledger.replace(body.conn, body.conn.lease)
        raise


def _releasing(original: Any) -> Any:
    bodies, ledger = _register.bodies, _register.ledger

    def _on_release(self: Any, stacklevel: int = 1) -> None:
        original(self, stacklevel)
        try:
            body = bodies.get(id(self))
            if body is not None and (lease := body.conn.lease) is not None:
                ledger.give_back(body.conn, lease)
        except BaseException as error:
            _register.interrupted(self, error)

    return _on_release


def _closing(original: Any) -> Any:
    async def close(self: Any) -> Any:
        _check(self)
        return await original(self)

    return close


def _connecting(original: Any) -> Any:
    async def _get_new_connection(self: Any) -> Any:
        began = monotonic()
        _check(self)
        with Connecting(_register.ledger):
            connection = await original(self)
        try:
            home = _home_of(self, connection)
            _register.add(home, connection)
            _register.ledger.opened.append((home.pool, monotonic() - began))
        except Exception as error:
            _register.failed(error)
        return connection

    return _get_new_connection


def _cleaning(original: Any) -> Any:
    def _cleanup(self: Any) -> Any:
        _closed(self)
        return original(self)

    return _cleanup


def _begin(pool: Any) -> int:
    """Refuse or report a pool that does not live here; begin a wait where it has nothing to lend.

    Gives the key of whoever runs here.
    """
    try:
        _check_route(pool)
        queue = pool._queue
        waits = not _check(pool) and queue is not None and queue.empty() and not pool.is_closing()
        me = current().key
        _looked[me] = _register.ledger.blocked(_home_of(pool).pool, False) if waits else None
        return me
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)
        return 0


def _check_route(pool: Any) -> None:
    home = _register.homes.get(id(pool))
    if home is not None and home.pool.marks is not None:
        crossing.of_route(_register.ledger, home.pool)


def _check(pool: Any) -> bool:
    """Report a pool that is used elsewhere, and tell whether it is; raises CrossingError in strict mode."""
    try:
        home = _register.homes.get(id(pool))
        if home is None or (runs_here(pool._loop) and not home.place.foreign):
            return False
        report(_register.ledger, home, _WORKERS)
        return True
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)
        return False


def _closed(connection: Any) -> None:
    """End the lease of a connection that is closed or terminated: its place goes back to the pool at once."""
    try:
        body = _register.bodies.get(id(connection))
        if body is not None:
            conn = body.conn
            conn.open = False
            if conn.lease is not None:
                _register.ledger.give_back(conn, conn.lease)
    except Exception as error:
        _register.failed(error)


async def _closer(connection: Any) -> None:
    proxy = connection._proxy
    await proxy._holder._pool.release(proxy)
