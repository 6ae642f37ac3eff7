"""Waits for an empty pool, which no event tells of: ``QueuePool._do_get`` is wrapped.

Where the pool has something to give, the wrapper asks three attributes and steps aside.
"""

from __future__ import annotations

from asyncio import _get_running_loop
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlalchemy.util.queue import Queue

from poolwatch.errors import CrossingError
from poolwatch.guard import Guard
from poolwatch.hooks.patch import patch
from poolwatch.hooks.sqlalchemy.engines import home_of
from poolwatch.ledger import Ledger, Wait

_HOOK = "sqlalchemy.wait"


def install(ledger: Ledger, guard: Guard) -> None:
    """See every wait for a QueuePool and its subclasses."""
    original = QueuePool._do_get

    def _do_get(self: Any) -> Any:
        try:
            waits = -1 < self._max_overflow <= self._overflow
            if waits:
                queue = self._pool
                waits = not queue.queue if type(queue) is Queue else queue.empty()  # SQLAlchemy's own without its lock
        except AttributeError as error:  # a version that calls it otherwise
            guard.failed(_HOOK, error)
            waits = False
        return _wait(self) if waits else original(self)

    def _wait(pool: Any) -> Any:
        wait = _begin(ledger, guard, pool)
        if wait is None:
            return original(pool)
        timed_out = False
        try:
            return original(pool)
        except PoolTimeout:
            timed_out = True
            raise
        finally:
            _end(ledger, guard, wait, timed_out)

    patch(guard, _HOOK, QueuePool, "_do_get", _do_get)


def _begin(ledger: Ledger, guard: Guard, pool: Any) -> Wait | None:
    try:
        on_loop = not pool._is_asyncio and _get_running_loop() is not None
        home = home_of(pool)
        return ledger.blocked(home.pool, on_loop, home.serial)
    except CrossingError:
        raise
    except Exception as error:
        guard.failed(_HOOK, error)
        return None


def _end(ledger: Ledger, guard: Guard, wait: Wait, timed_out: bool) -> None:
    try:
        ledger.unblocked(wait, timed_out)
    except Exception as error:
        guard.failed(_HOOK, error)
