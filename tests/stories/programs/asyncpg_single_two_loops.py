"""A connection opened in one asyncio.run is used in the next."""

from __future__ import annotations

import asyncio
import os

import asyncpg

URL = os.environ["STORY_URL"].replace("+asyncpg", "")


async def make() -> asyncpg.Connection:
    return await asyncpg.connect(URL)


async def read(connection: asyncpg.Connection) -> None:
    try:
        await connection.fetch("select 1", timeout=1)  # <- site
    except Exception:
        pass


connection = asyncio.run(make())
asyncio.run(read(connection))

print("done")
