"""Leases and waits of ``asyncpg.Pool``; ``release`` is seen where it tells the connection.

The handle of a lease is the connection: the proxy that the application holds has no weak references. The pool keeps
both, so a forgotten one is never collected; only its owner's end, or its age, can tell.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from asyncpg.connection import Connection
from asyncpg.pool import Pool as AsyncpgPool

from poolwatch.errors import CrossingError
from poolwatch.hooks.elsewhere import report
from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Home, Register, runs_here
from poolwatch.ledger import Wait, crossing
from poolwatch.ledger.connecting import Connecting

_WORKERS = "its sockets are the parent's"
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
    # the pool itself has no weak references; its queue lives as long and belongs to nobody else
    return _register.settle(id(pool), pool._queue, logical)


def _acquiring(original: Any) -> Any:
    homes = _register.homes

    async def _acquire(self: Any, timeout: float | None) -> Any:
        home = homes.get(id(self))
        wait = None
        if (
            home is None
            or home.place.foreign
            or not runs_here(self._loop)
            or self._queue.empty()
            or home.pool.marks is not None
        ):
            wait = _begin(self)
        try:
            proxy = await original(self, timeout)
        except BaseException as error:
            _register.waited(wait, isinstance(error, asyncio.TimeoutError))
            raise
        if wait is not None:
            _register.waited(wait, False)
        _lend(self, proxy)
        return proxy

    return _acquire


def _releasing(original: Any) -> Any:
    def _on_release(self: Any, *args: Any) -> None:
        original(self, *args)
        try:
            _end(self)
        except Exception as error:
            _register.failed(error)

    return _on_release


def _closing(original: Any) -> Any:
    async def close(self: Any) -> Any:
        _check(self)
        return await original(self)

    return close


def _connecting(original: Any) -> Any:
    async def _get_new_connection(self: Any) -> Any:
        began = monotonic()
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


def _begin(pool: Any) -> Wait | None:
    """Refuse or report a pool that does not live here; begin a wait where it has nothing to lend."""
    try:
        _check_route(pool)
        queue = pool._queue
        if queue is None or _check(pool) or not queue.empty() or pool.is_closing():
            return None
        return _register.ledger.blocked(_home_of(pool).pool, False)
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)
        return None


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


def _lend(pool: Any, proxy: Any) -> None:
    try:
        connection = proxy._con
        body = _register.bodies.get(id(connection))
        conn = body.conn if body is not None else _register.add(_home_of(pool), connection)
        if conn.foreign:
            conn.reported = True  # what is to say of that was said of the pool
        _register.ledger.lend(conn, connection, 2)
    except Exception as error:
        _register.failed(error)


def _closed(connection: Any) -> None:
    """End the lease of a connection that is closed or terminated: its place goes back to the pool at once."""
    try:
        body = _register.bodies.get(id(connection))
        if body is not None:
            body.conn.open = False
            _end(connection)
    except Exception as error:
        _register.failed(error)


async def _closer(connection: Any) -> None:
    proxy = connection._proxy
    await proxy._holder._pool.release(proxy)


def _end(connection: Any) -> None:
    body = _register.bodies.get(id(connection))
    if body is not None and body.conn.lease is not None:
        _register.ledger.give_back(body.conn, body.conn.lease)
