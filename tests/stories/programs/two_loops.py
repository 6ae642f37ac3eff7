"""An AsyncEngine is used in one asyncio.run and, with its pool still warm, in the next."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["STORY_URL"])


async def read() -> None:
    async with engine.connect() as connection:  # <- site
        await connection.execute(text("select 1"))


asyncio.run(read())
try:
    asyncio.run(read())
except Exception:
    pass
print("done")
