"""A pool that its constructor should open where no loop runs: the library refuses, and the program opens it later."""

from __future__ import annotations

import asyncio
import os
import warnings

from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


async def main() -> None:
    pool = AsyncConnectionPool(URL, min_size=1, open=False)
    async with pool, pool.connection() as connection:
        await connection.execute("select 1")


warnings.simplefilter("ignore")
try:
    AsyncConnectionPool(URL, min_size=1, open=True)
except RuntimeError:
    pass
asyncio.run(main())

print("done")
