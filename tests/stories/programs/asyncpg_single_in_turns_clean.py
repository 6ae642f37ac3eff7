"""Tasks take turns on one connection under a lock, and wait_for runs its statements in tasks of its own."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def read(connection: asyncpg.Connection, lock: asyncio.Lock) -> None:
    for _ in range(5):
        async with lock:
            await asyncio.wait_for(connection.fetch("select pg_sleep(0.01)"), 5)


async def main() -> None:
    connection = await asyncpg.connect(URL)
    lock = asyncio.Lock()
    await asyncio.gather(*(read(connection, lock) for _ in range(3)))
    await connection.close()


asyncio.run(main())

print("done")
