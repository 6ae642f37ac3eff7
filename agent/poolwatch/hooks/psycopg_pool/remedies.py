"""How psycopg's pools get back what was not returned to them."""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool
from psycopg_pool import pool as sync_pool
from psycopg_pool import pool_async as async_pool

from poolwatch.hooks.register import Register
from poolwatch.ledger import Lease

_register: Register


def install(register: Register) -> None:
    """Know the pools, and offer the remedies."""
    global _register
    _register = register
    register.ledger.closers["psycopg_pool"] = give_back
    register.ledger.refillers["psycopg_pool"] = refill


def give_back(connection: Any) -> Any:
    """Return a connection to its pool; of an async pool, what is to be awaited."""
    return connection._pool.putconn(connection)


def refill(lease: Lease) -> bool:
    """Let the pool open a connection for a slot whose connection was collected, as for one that came back broken."""
    home = _register.forgive(lease)
    pool = home.ref() if home is not None else None
    if pool is None or pool.closed:
        return False
    if not isinstance(pool, AsyncConnectionPool):
        pool.run_task(sync_pool.AddConnection(pool))
        return True
    loop = home.loop.ref() if home is not None and home.loop is not None else None
    if loop is None or loop.is_closed():
        return False
    loop.call_soon_threadsafe(lambda: pool.run_task(async_pool.AddConnection(pool)))
    return True
