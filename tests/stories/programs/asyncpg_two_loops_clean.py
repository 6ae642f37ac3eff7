"""Each asyncio.run creates a pool and a connection of its own."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=2) as pool:
        async with pool.acquire() as connection:
            await connection.fetch("select 1")
    connection = await asyncpg.connect(URL)
    await connection.fetch("select 1")
    await connection.close()


asyncio.run(main())
asyncio.run(main())

print("done")
