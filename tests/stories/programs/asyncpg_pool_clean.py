"""Each task acquires its own, waits its turn, uses transactions, cursors and prepared statements."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def read(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        statement = await connection.prepare("select pg_sleep(0.01), $1::int")
        await statement.fetch(1)
        async for _ in connection.cursor("select generate_series(1, 100)"):
            pass
    await pool.fetchval("select 1")


async def main() -> None:
    async with asyncpg.create_pool(URL, min_size=1, max_size=3) as pool:
        await asyncio.gather(*(read(pool) for _ in range(10)))
        connection = await asyncio.wait_for(pool.acquire(), 5)
        await asyncio.wait_for(connection.fetch("select 1"), 5)
        await asyncio.sleep(1.6)
        await pool.release(connection)
        async with pool.acquire() as connection:
            await connection.close()
        held = await pool.acquire()
        pool.terminate()
    del held


asyncio.run(main())

print("done")
