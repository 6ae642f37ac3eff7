"""A checkout with next to nothing on the stack."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

import greenlet
from sqlalchemy.pool import QueuePool

import poolwatch


class _Connection:
    """As little of a driver's connection as a pool needs."""

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_pool_called_from_c() -> None:
    """A pool's own method as the first call of a thread or greenlet is a lease like any other, and no hook fails."""
    watch = poolwatch.install(interval=60)
    try:
        pool = QueuePool(_Connection)  # type: ignore[arg-type]
        done, kept = allocate_lock(), []
        done.acquire()
        kept.append(greenlet.greenlet(pool.connect).switch())
        start_new_thread(lambda: (kept.append(pool.connect()), done.release()), ())
        done.acquire()
        start_new_thread(pool.connect, ())
        assert watch.snapshot().process.hook_errors == {}
        for connection in kept:
            connection.close()
    finally:
        watch.uninstall()
