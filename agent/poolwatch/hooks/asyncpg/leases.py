"""Leases and waits of ``asyncpg.Pool``.

The handle of a lease is the connection: the proxy that the application holds has no weak references. The pool keeps
both, so a forgotten one is never collected; only its owner's end, or its age, can tell.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from time import monotonic
from typing import Any

from asyncpg.connection import Connection
from asyncpg.pool import Pool as AsyncpgPool
from asyncpg.pool import PoolConnectionProxy

from poolwatch.errors import CrossingError
from poolwatch.guard import Guard
from poolwatch.hooks.elsewhere import report
from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Body, Home, Register
from poolwatch.ledger import Ledger, Wait, crossing

_HOOK = "asyncpg"
_WORKERS = "its sockets are the parent's"
_register: Register
_ledger: Ledger
_guard: Guard
_homes: dict[int, Home]
_bodies: dict[int, Body]


def install(register: Register, guard: Guard) -> None:
    """See every loan of every pool."""
    global _register, _ledger, _guard, _homes, _bodies
    _register, _ledger, _guard = register, register.ledger, guard
    _homes, _bodies = register.homes, register.bodies
    _ledger.closers["asyncpg"] = _closer
    cls = AsyncpgPool
    patch(guard, _HOOK, cls, "_acquire", _acquiring(cls._acquire))
    patch(guard, _HOOK, cls, "release", _releasing(cls.release))
    patch(guard, _HOOK, cls, "close", _closing(cls.close))
    patch(guard, _HOOK, cls, "_get_new_connection", _connecting(cls._get_new_connection))
    patch(guard, _HOOK, Connection, "_cleanup", _cleaning(Connection._cleanup))


def name_of(connection: Any) -> str:
    """Name the database of a connection as ``host:port/database``."""
    address = connection._addr
    server = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
    return f"{server}/{connection._params.database or ''}"


def _home_of(pool: Any, connection: Any = None) -> Home:
    return _homes.get(id(pool)) or _new_home(pool, connection)


def _new_home(pool: Any, connection: Any) -> Home:
    known = connection or next((holder._con for holder in pool._holders if holder._con is not None), None)
    name = name_of(known) if known is not None else "asyncpg"
    logical = _ledger.pool_for(name, "asyncpg", type(pool).__name__)
    logical.limits = (pool._minsize, pool._maxsize, None)
    # the pool itself has no weak references; its queue lives as long and belongs to nobody else
    return _register.settle(id(pool), pool._queue, logical)


def _acquiring(original: Any) -> Any:
    async def _acquire(self: Any, timeout: float | None) -> Any:
        home = _homes.get(id(self))
        wait = None
        if home is None or home.place.foreign or self._loop is not _get_running_loop() or self._queue.empty():
            wait = _begin(self)
        try:
            proxy = await original(self, timeout)
        except BaseException as error:
            _unblock(wait, isinstance(error, asyncio.TimeoutError))
            raise
        if wait is not None:
            _unblock(wait, False)
        _lend(self, proxy)
        return proxy

    return _acquire


def _releasing(original: Any) -> Any:
    async def release(self: Any, connection: Any, *, timeout: float | None = None) -> Any:
        _give_back(self, connection)
        return await original(self, connection, timeout=timeout)

    return release


def _closing(original: Any) -> Any:
    async def close(self: Any) -> Any:
        _check(self)
        return await original(self)

    return close


def _connecting(original: Any) -> Any:
    async def _get_new_connection(self: Any) -> Any:
        began = monotonic()
        connection = await original(self)
        try:
            home = _home_of(self, connection)
            _register.add(home, connection)
            _ledger.opened.append((home.pool, monotonic() - began))
        except Exception as error:
            _guard.failed(_HOOK, error)
        return connection

    return _get_new_connection


def _cleaning(original: Any) -> Any:
    def _cleanup(self: Any) -> Any:
        _closed(self)
        return original(self)

    return _cleanup


def _begin(pool: Any) -> Wait | None:
    """Refuse or report a pool that does not live here; begin a wait where it has nothing to lend."""
    try:
        _check_route(pool)
        queue = pool._queue
        if queue is None or _check(pool) or not queue.empty() or pool.is_closing():
            return None
        return _ledger.blocked(_home_of(pool).pool, False)
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def _check_route(pool: Any) -> None:
    home = _homes.get(id(pool))
    if home is not None and home.pool.marks is not None:
        crossing.of_route(_ledger, home.pool)


def _check(pool: Any) -> bool:
    """Report a pool that is used elsewhere, and tell whether it is; raises CrossingError in strict mode."""
    try:
        home = _homes.get(id(pool))
        if home is None or (pool._loop is _get_running_loop() and not home.place.foreign):
            return False
        report(_ledger, home, _WORKERS)
        return True
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
        return False


def _unblock(wait: Wait | None, timed_out: bool) -> None:
    if wait is None:
        return
    try:
        _ledger.unblocked(wait, timed_out)
    except Exception as error:
        _guard.failed(_HOOK, error)


def _lend(pool: Any, proxy: Any) -> None:
    try:
        connection = proxy._con
        body = _bodies.get(id(connection))
        conn = body.conn if body is not None else _register.add(_home_of(pool), connection)
        if conn.foreign:
            conn.reported = True  # what is to say of that was said of the pool
        _ledger.lend(conn, connection, 2)
    except Exception as error:
        _guard.failed(_HOOK, error)


def _give_back(pool: Any, proxy: Any) -> None:
    try:
        if type(proxy) is PoolConnectionProxy and proxy._con is not None and proxy._holder._pool is pool:
            _end(proxy._con)
    except Exception as error:
        _guard.failed(_HOOK, error)


def _closed(connection: Any) -> None:
    """End the lease of a connection that is closed or terminated: its place goes back to the pool at once."""
    try:
        body = _bodies.get(id(connection))
        if body is not None:
            body.conn.open = False
            _end(connection)
    except Exception as error:
        _guard.failed(_HOOK, error)


async def _closer(connection: Any) -> None:
    proxy = connection._proxy
    await proxy._holder._pool.release(proxy)


def _end(connection: Any) -> None:
    body = _bodies.get(id(connection))
    if body is None or body.conn.lease is None:
        return
    _ledger.give_back(body.conn, body.conn.lease)
