"""Handlers acquire and never release, until the pool is dry (asyncpg#467)."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def handle(pool: asyncpg.Pool) -> None:
    connection = await pool.acquire()  # <- site
    await connection.fetch("select 1")


async def main() -> None:
    pool = await asyncpg.create_pool(URL, min_size=1, max_size=4)
    for n in range(2):
        await asyncio.create_task(handle(pool), name=f"handler-{n}")
    await asyncio.sleep(2.2)
    pool.terminate()


asyncio.run(main())

print("done")
