"""A pool is opened on one loop and closed on another."""

from __future__ import annotations

import asyncio
import os

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


async def use(pool: AsyncConnectionPool) -> None:
    await pool.open(wait=True)
    async with pool.connection() as connection:
        await connection.execute("select 1")


async def stop(pool: AsyncConnectionPool) -> None:
    try:
        await pool.close(timeout=0.5)  # <- site
    except (Exception, asyncio.CancelledError):  # which it is depends on the version of Python
        pass


pool = AsyncConnectionPool(URL, min_size=1, open=False)
asyncio.run(use(pool))
asyncio.run(stop(pool))

print("done")
