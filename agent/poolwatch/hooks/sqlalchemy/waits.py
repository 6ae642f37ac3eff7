"""Waits for an empty pool, which no event tells of.

A pool can make somebody wait only once it is full, and most never are. So what grows a QueuePool is wrapped, and a pool
that is about to be full gets a ``_do_get`` of its own: the others' checkouts pay nothing.
"""

from __future__ import annotations

import weakref
from asyncio import _get_running_loop
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlalchemy.util.queue import Queue

from poolwatch.errors import CrossingError
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.engines import at_first_sight, home_of
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger, Wait

_HOOK = "sqlalchemy.wait"
_NAME = "_do_get"
_armed: weakref.WeakSet[Any] = weakref.WeakSet()
_ledger: Ledger
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """See every wait for a QueuePool and its subclasses."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard
    patch(guard, _HOOK, QueuePool, "_inc_overflow", _growing(QueuePool._inc_overflow))
    guard.add(_HOOK, _disarm)
    at_first_sight[:] = [see]


def see(pool: Any) -> None:
    """Watch a pool made before, where it is full already."""
    if isinstance(pool, QueuePool) and _is_full(pool, 0):
        _arm(pool)


def _growing(original: Any) -> Any:
    def _inc_overflow(self: Any) -> Any:
        try:
            if _is_full(self, 1):
                _arm(self)
        except Exception as error:
            _guard.failed(_HOOK, error)
        return original(self)

    return _inc_overflow


def _is_full(pool: Any, more: int) -> bool:
    """Tell whether a pool with ``more`` connections than now may open no other."""
    return bool(-1 < pool._max_overflow <= pool._overflow + more)


def _arm(pool: Any) -> None:
    """Watch the waits for one pool from now on; it must not keep itself alive by it."""
    if _NAME not in vars(pool):
        seen = weakref.ref(pool)
        setattr(pool, _NAME, lambda: _get(seen()))
        _armed.add(pool)


def _disarm() -> None:
    while _armed:
        vars(_armed.pop()).pop(_NAME, None)


def _get(pool: Any) -> Any:
    try:
        waits = _is_full(pool, 0) and _is_empty(pool._pool)
    except Exception as error:
        _guard.failed(_HOOK, error)
        waits = False
    return _wait(pool) if waits else type(pool)._do_get(pool)


def _is_empty(queue: Any) -> bool:
    return not queue.queue if type(queue) is Queue else queue.empty()  # SQLAlchemy's own without its lock


def _wait(pool: Any) -> Any:
    wait = _begin(pool)
    if wait is None:
        return type(pool)._do_get(pool)
    timed_out = False
    try:
        return type(pool)._do_get(pool)
    except PoolTimeout:
        timed_out = True
        raise
    finally:
        _end(wait, timed_out)


def _begin(pool: Any) -> Wait | None:
    try:
        on_loop = not pool._is_asyncio and _get_running_loop() is not None
        home = home_of(pool)
        return _ledger.blocked(home.pool, on_loop, home.serial)
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def _end(wait: Wait, timed_out: bool) -> None:
    try:
        _ledger.unblocked(wait, timed_out)
    except Exception as error:
        _guard.failed(_HOOK, error)


__name__ = "sqlalchemy." + __name__  # its warnings are told of the first line that is not of such a module
