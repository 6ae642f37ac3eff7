"""A checkout with next to nothing on the stack of its own: called from C, or behind SQLAlchemy's asyncio bridge."""

from __future__ import annotations

import asyncio
from _thread import allocate_lock, start_new_thread
from pathlib import Path

import greenlet
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
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


async def _first(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def _second(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


def test_lines_behind_the_bridge(tmp_path: Path) -> None:
    """Two functions and a task that take one connection in turns are each known by their own line."""
    watch = poolwatch.install(interval=60)

    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db", pool_size=1)
        for _ in range(3):
            for take in (_first, _second, _first, _first):
                await (await take(engine)).close()
            await (await asyncio.create_task(engine.connect().start())).close()  # type: ignore[arg-type]
        await engine.dispose()

    try:
        asyncio.run(main())
        taken = {(site.site.function, site.checkouts_total) for site in watch.snapshot().sites if site.site is not None}
    finally:
        watch.uninstall()
    name = f"{test_lines_behind_the_bridge.__qualname__}.<locals>.main"
    assert taken == {("_first", 9), ("_second", 3), (name, 3)}
