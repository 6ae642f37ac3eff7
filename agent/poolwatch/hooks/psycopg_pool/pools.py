"""Which pool is which: its name and limits, its home, and the connections it opens."""

from __future__ import annotations

import gc
from asyncio import _get_running_loop
from time import monotonic
from typing import Any

from psycopg_pool import AsyncConnectionPool, ConnectionPool

from poolwatch.hooks.patch import patch
from poolwatch.hooks.register import Home, Register
from poolwatch.ledger import Conn, Pool
from poolwatch.ledger.connecting import Connecting
from poolwatch.senses.actor import current_loop

_register: Register


def home_of(pool: Any) -> Home:
    """Give the home of a pool; makes one at first sight."""
    return _register.homes.get(id(pool)) or _new_home(pool)


def _new_home(pool: Any) -> Home:
    logical = _register.ledger.pool_for(pool.name, "psycopg_pool", type(pool).__name__)
    logical.system = "postgresql"
    describe(logical, pool)
    return _register.settle(id(pool), pool, logical)


def describe(logical: Pool, pool: Any) -> None:
    """Read the limits, which ``resize`` changes; a null pool's 0 is no limit."""
    logical.limits = (pool.min_size, pool.max_size or None, float(pool.timeout))
    logical.tests = pool._check is not None


def conn_of(pool: Any, connection: Any) -> Conn:
    """Give what the ledger knows of a connection of ``pool``; adds it at first sight."""
    body = _register.bodies.get(id(connection))
    return body.conn if body is not None else _register.add(home_of(pool), connection)


def install(register: Register) -> None:
    """See every pool when it opens, its connections when they open, and what is open already."""
    global _register
    _register = register
    for cls, name, wrapped in (
        (ConnectionPool, "_open", _opening),
        (AsyncConnectionPool, "_open", _opening),
        (ConnectionPool, "_connect", _connecting),
        (AsyncConnectionPool, "_connect", _connecting_async),
    ):
        patch(register.guard, register.hook, cls, name, wrapped(getattr(cls, name)))
    pools = (ConnectionPool, AsyncConnectionPool)
    for pool in [found for found in gc.get_objects() if issubclass(type(found), pools)]:  # isinstance asks lazy proxies
        _open_already(pool)


def works_here(pool: Any, home: Home) -> bool:
    """Tell whether the tasks of an open async pool run on this loop, and move ``home`` here.

    Of a pool that was open before it was seen they alone know its loop.
    """
    worker = next(iter(pool._workers), None)
    if worker is None or worker.get_loop() is not _get_running_loop():
        return False
    home.loop = current_loop()
    return True


def _open_already(pool: Any) -> None:
    if not pool.closed:
        home = home_of(pool)
        if isinstance(pool, AsyncConnectionPool) and not works_here(pool, home):
            home.loop = None
        for connection in list(pool._pool):
            _register.add(home, connection)


def _opening(original: Any) -> Any:
    def _open(self: Any) -> Any:
        try:
            if self._closed:
                home = home_of(self)
                home.loop, home.place.foreign = current_loop(), 0  # wherever it was asked before
        except Exception as error:
            _register.failed(error)
        return original(self)

    return _open


def _connecting(original: Any) -> Any:
    def _connect(self: Any, timeout: float | None = None) -> Any:
        began = monotonic()
        with Connecting(_register.ledger):
            connection = original(self, timeout)
        _connected(self, connection, monotonic() - began)
        return connection

    return _connect


def _connecting_async(original: Any) -> Any:
    async def _connect(self: Any, timeout: float | None = None) -> Any:
        began = monotonic()
        with Connecting(_register.ledger):
            connection = await original(self, timeout)
        _connected(self, connection, monotonic() - began)
        return connection

    return _connect


def _connected(pool: Any, connection: Any, seconds: float) -> None:
    try:
        conn = conn_of(pool, connection)
        describe(conn.pool, pool)
        _register.ledger.opened.append((conn.pool, seconds))
    except Exception as error:
        _register.failed(error)
