"""A task holds a connection, idle, over a long await."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


async def work(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:  # <- site
        await connection.execute(text("select 1"))
        await asyncio.sleep(2)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.create_task(work(engine), name="holder")
    await asyncio.sleep(0.4)
    await engine.dispose()


asyncio.run(main())
print("done")
