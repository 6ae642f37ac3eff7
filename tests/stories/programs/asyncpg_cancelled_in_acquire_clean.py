"""Tasks are cancelled, or run out of time, while they wait in acquire (asyncpg#955)."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def read(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.fetch("select 1")


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection:
            tasks = [asyncio.create_task(read(pool)) for _ in range(3)]
            await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            try:
                await asyncio.wait_for(pool.acquire(), 0.2)
            except asyncio.TimeoutError:
                pass
            await connection.fetch("select 1")
        await read(pool)


asyncio.run(main())

print("done")
