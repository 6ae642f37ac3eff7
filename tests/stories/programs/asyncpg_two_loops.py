"""A pool created in one asyncio.run is used in the next."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def make() -> asyncpg.Pool:
    return await asyncpg.create_pool(URL, min_size=1, max_size=2)


async def read(pool: asyncpg.Pool) -> None:
    try:
        async with pool.acquire() as connection:  # <- site
            await connection.fetch("select 1")
    except Exception:
        pass


pool = asyncio.run(make())
asyncio.run(read(pool))

print("done")
