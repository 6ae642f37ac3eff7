"""A pool that its constructor opens, in a loop that soon ends (psycopg#219)."""

from __future__ import annotations

import asyncio
import os
import warnings

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


class Repository:
    def __init__(self) -> None:
        self.pool = AsyncConnectionPool(URL, min_size=1, open=True, timeout=1)

    async def read(self) -> None:
        try:
            async with self.pool.connection() as connection:  # <- site
                await connection.execute("select 1")
        except Exception:
            pass


async def make() -> Repository:
    repository = Repository()
    await repository.pool.wait()
    return repository


warnings.simplefilter("ignore")
repository = asyncio.run(make())
asyncio.run(repository.read())

print("done")
