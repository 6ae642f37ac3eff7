"""Where a pool lives, and what is asked of it as a whole elsewhere: told before the library hangs, or harms others.

A pool lives where it was opened. One that is not open lives nowhere yet, or no longer, and may be asked anywhere.
"""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool, ConnectionPool

from poolwatch.errors import CrossingError
from poolwatch.hooks.elsewhere import report, report_close
from poolwatch.hooks.patch import patch
from poolwatch.hooks.psycopg_pool.pools import home_of, works_here
from poolwatch.hooks.register import Home, Register
from poolwatch.senses import sockets

_WORKERS = "its worker threads do not run: it can neither grow nor replace a connection"
_UPKEEP = ("check", "drain", "resize", "wait")
_register: Register


def install(register: Register) -> None:
    """See every pool that is closed or kept up; not each version can do all of it."""
    global _register
    _register = register
    patch(register.guard, register.hook, ConnectionPool, "close", _close(ConnectionPool.close))
    patch(register.guard, register.hook, AsyncConnectionPool, "close", _close_async(AsyncConnectionPool.close))
    for cls, wrapped in ((ConnectionPool, _keep_up), (AsyncConnectionPool, _keep_up_async)):
        for name in filter(lambda name: hasattr(ConnectionPool, name), _UPKEEP):
            patch(register.guard, register.hook, cls, name, wrapped(getattr(cls, name)))


def is_elsewhere(pool: Any, home: Home) -> bool:
    """Tell whether this is a forked child, or another loop than that of an async pool, as long as that is open."""
    if pool.closed:
        return False
    if home.place.foreign:
        return True
    return isinstance(pool, AsyncConnectionPool) and not (home.is_here() or works_here(pool, home))


def look(pool: Any) -> None:
    """Report a pool that does not live here; raises CrossingError in strict mode."""
    try:
        look_at(pool, home_of(pool))
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)


def look_at(pool: Any, home: Home) -> bool:
    """Do the same, and tell whether it lives elsewhere."""
    elsewhere = is_elsewhere(pool, home)
    if elsewhere:
        report(_register.ledger, home, _WORKERS)
    return elsewhere


def _close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _look_at_close(self)
        original(self, *args, **kwargs)
        _closed(self)

    return close


def _close_async(original: Any) -> Any:
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        look(self)
        await original(self, *args, **kwargs)
        _closed(self)

    return close


def _keep_up(original: Any) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        look(self)
        return original(self, *args, **kwargs)

    return method


def _keep_up_async(original: Any) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        look(self)
        return await original(self, *args, **kwargs)

    return method


def _look_at_close(pool: Any) -> None:
    """Report a forked child that is about to end sessions of its parent; raises CrossingError in strict mode."""
    try:
        home = home_of(pool)
        if home.place.foreign and not pool.closed and not all(map(sockets.is_cut, list(pool._pool))):
            report_close(_register.ledger, home)
    except CrossingError:
        raise
    except Exception as error:
        _register.failed(error)


def _closed(pool: Any) -> None:
    try:
        _register.forget_lost(home_of(pool))
    except Exception as error:
        _register.failed(error)
