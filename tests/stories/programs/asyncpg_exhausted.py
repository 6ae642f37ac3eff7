"""A task runs out of time on a pool whose connections others hold."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def hold(pool: asyncpg.Pool) -> None:
    async with pool.acquire():  # <- site
        await asyncio.sleep(1)


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=2) as pool:
        tasks = [asyncio.create_task(hold(pool), name=f"holder-{n}") for n in range(2)]
        await asyncio.sleep(0.2)
        try:
            await pool.acquire(timeout=0.3)
        except asyncio.TimeoutError:
            pass
        await asyncio.gather(*tasks)


asyncio.run(main())

print("done")
