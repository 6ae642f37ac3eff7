"""A task that lives on holds a connection and does not use it."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def hold(pool: asyncpg.Pool) -> None:
    connection = await pool.acquire()  # <- site
    await connection.fetch("select 1")
    await asyncio.sleep(1.8)
    await pool.release(connection)


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=2) as pool:
        await asyncio.create_task(hold(pool), name="holder")


asyncio.run(main())

print("done")
