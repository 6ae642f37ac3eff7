"""An async pool opened in one asyncio.run is used in the next: idle connections work, then it hangs (psycopg#737)."""

from __future__ import annotations

import asyncio
import os

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


async def make() -> AsyncConnectionPool:
    pool = AsyncConnectionPool(URL, min_size=1, max_size=4, open=False, timeout=1)
    await pool.open(wait=True)
    return pool


async def read(pool: AsyncConnectionPool) -> None:
    async with pool.connection() as connection:  # <- site
        await connection.execute("select 1")


async def main(pool: AsyncConnectionPool) -> None:
    await read(pool)
    await asyncio.gather(read(pool), read(pool), return_exceptions=True)


pool = asyncio.run(make())
asyncio.run(main(pool))

print("done")
