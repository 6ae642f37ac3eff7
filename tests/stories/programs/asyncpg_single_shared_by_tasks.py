"""Two tasks execute on one connection that no pool lends."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def read(connection: asyncpg.Connection) -> None:
    await connection.fetch("select pg_sleep(0.3)")  # <- site


async def main() -> None:
    connection = await asyncpg.connect(URL)
    tasks = [asyncio.create_task(read(connection), name=f"reader-{n}") for n in range(2)]
    await asyncio.gather(*tasks, return_exceptions=True)
    await connection.close()


asyncio.run(main())

print("done")
