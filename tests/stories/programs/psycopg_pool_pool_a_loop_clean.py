"""Each asyncio.run opens and closes a pool of its own; a waiting task is cancelled, and one that holds."""

from __future__ import annotations

import asyncio
import os

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


async def read(pool: AsyncConnectionPool, seconds: float) -> None:
    async with pool.connection() as connection:
        await connection.execute("select pg_sleep(%s)", [seconds])


async def main() -> None:
    async with AsyncConnectionPool(URL, min_size=1, max_size=2, open=False) as pool:
        await asyncio.gather(*(read(pool, 0.01) for _ in range(6)))
        tasks = [asyncio.create_task(read(pool, 1)) for _ in range(3)]
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(read(pool, 0.01), 5)


asyncio.run(main())
asyncio.run(main())

print("done")
