"""Two tasks execute on one connection of a pool: another operation is in progress (asyncpg#258)."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def read(connection: asyncpg.Connection) -> None:
    await connection.fetch("select pg_sleep(0.3)")


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=2) as pool:
        async with pool.acquire() as connection:  # <- site
            tasks = [asyncio.create_task(read(connection), name=f"reader-{n}") for n in range(2)]
            await asyncio.gather(*tasks, return_exceptions=True)


asyncio.run(main())

print("done")
