"""Tasks drop what they took of an async psycopg pool."""

from __future__ import annotations

import asyncio
import gc
import os

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


async def count(pool: AsyncConnectionPool) -> None:
    connection = await pool.getconn()  # <- site
    await connection.execute("select 1")


async def main() -> None:
    async with AsyncConnectionPool(URL, min_size=2, max_size=3, open=False) as pool:
        await asyncio.create_task(count(pool), name="counter")
        gc.collect()
        await asyncio.sleep(0.5)


asyncio.run(main())

print("done")
