"""Leases and waits: ``getconn`` of both pool classes, from which the null pools inherit.

A ``putconn`` is seen where it has made sure that the connection is this pool's.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from typing import Any

from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolTimeout,
)
from psycopg_pool.base import BasePool

from poolwatch.errors import CrossingError
from poolwatch.hooks.borrowers import sqlalchemy_asks
from poolwatch.hooks.patch import patch
from poolwatch.hooks.psycopg_pool.places import is_elsewhere, look, look_at
from poolwatch.hooks.psycopg_pool.pools import conn_of, describe, home_of
from poolwatch.hooks.register import Body, Register
from poolwatch.ledger import Wait, crossing

_NULL_POOLS = (NullConnectionPool, AsyncNullConnectionPool)
_register: Register


def install(register: Register) -> None:
    """See every loan of every pool class."""
    global _register
    _register = register
    for cls, name, wrapped in (
        (BasePool, "_check_pool_putconn", _putconn),
        (ConnectionPool, "getconn", _getconn),
        (AsyncConnectionPool, "getconn", _getconn_async),
    ):
        patch(register.guard, register.hook, cls, name, wrapped(getattr(cls, name)))


def _getconn(original: Any) -> Any:
    homes, bodies, ledger = _register.homes, _register.bodies, _register.ledger

    def getconn(self: Any, timeout: float | None = None) -> Any:
        home = homes.get(id(self))
        try:
            rare = home is None or not self._pool or home.place.foreign or home.pool.marks is not None
        except AttributeError:  # a version that calls it otherwise
            rare = True
        wait = _begin(self, _get_running_loop() is not None) if rare else None
        try:
            connection = original(self, timeout)
        except BaseException as error:
            _fail(self, wait, error, bool(rare))
            raise
        try:
            body = bodies.get(id(connection))
            if rare or body is None or ledger.connecting:
                _lend(self, connection, wait)
            else:
                ledger.lend(body.conn, connection, 1)
        except BaseException as error:
            _register.interrupted(connection, error)
        return connection

    return getconn


def _getconn_async(original: Any) -> Any:
    homes, bodies, ledger = _register.homes, _register.bodies, _register.ledger

    async def getconn(self: Any, timeout: float | None = None) -> Any:
        home = homes.get(id(self))
        try:
            rare = home is None or not self._pool or home.place.foreign or home.pool.marks is not None
            rare = rare or ledger.strict
        except AttributeError:
            rare = True
        wait = _begin(self, False) if rare else None
        try:
            connection = await original(self, timeout)
        except BaseException as error:
            _fail(self, wait, error, bool(rare))
            raise
        try:
            body = bodies.get(id(connection))
            if rare or body is None or ledger.connecting:
                _lend(self, connection, wait)
            else:
                ledger.lend(body.conn, connection, 1)
                if body.conn.lease.owner.loop is not home.loop:  # type: ignore[union-attr]
                    look(self)
        except BaseException as error:
            _register.interrupted(connection, error)
        return connection

    return getconn


def _putconn(original: Any) -> Any:
    bodies, ledger = _register.bodies, _register.ledger

    def _check_pool_putconn(self: Any, conn: Any) -> None:
        original(self, conn)
        try:
            body = bodies.get(id(conn))
            if body is not None and (lease := body.conn.lease) is not None:
                ledger.give_back(body.conn, lease)
            else:
                _found(self, conn, body)
        except BaseException as error:
            _register.interrupted(conn, error)

    return _check_pool_putconn


def _begin(pool: Any, on_loop: bool) -> Wait | None:
    """Refuse or report a pool that does not live here; begin a wait where it has nothing to lend."""
    try:
        home = home_of(pool)
        if home.pool.marks is not None:
            crossing.of_route(_register.ledger, home.pool)
        if not look_at(pool, home) and not pool._pool and _must_wait(pool):
            describe(home.pool, pool)
            return _register.ledger.blocked(home.pool, on_loop)
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)
    return None


def _must_wait(pool: Any) -> bool:
    """Tell whether a pool without idle connections makes its client wait; a null pool connects instead."""
    if pool.closed:
        return False
    return not isinstance(pool, _NULL_POOLS) or 0 < pool.max_size <= pool._nconns


def _fail(pool: Any, wait: Wait | None, error: BaseException, looked: bool) -> None:
    try:
        timed_out = isinstance(error, PoolTimeout)
        if not looked and not timed_out:
            look(pool)  # on another loop, where its lock is taken, it fails before it lends
        elif wait is None and timed_out and not is_elsewhere(pool, home_of(pool)):
            wait = _register.ledger.blocked(home_of(pool).pool, False)  # somebody else was quicker to what was idle
        _register.waited(wait, timed_out)
    except Exception as failure:
        _register.failed(failure)


def _lend(pool: Any, connection: Any, wait: Wait | None) -> None:
    """Record a loan after a wait, or of a connection that there is more to know of."""
    _register.waited(wait, False)
    conn = conn_of(pool, connection)
    if _register.ledger.connecting and sqlalchemy_asks():
        conn.open = False  # neither idle nor lent: SQLAlchemy's own lease tells of it
        return
    if conn.foreign:
        conn.reported = True  # what is to say of that was said of the pool
    _register.ledger.lend(conn, connection, 2)


def _found(pool: Any, connection: Any, body: Body | None) -> None:
    """Record a return of what was not lent, for all we know."""
    if body is None:
        _register.found_again(connection)
    conn_of(pool, connection).open = not connection.closed
