"""A task raises inside `async with`; its exception is kept, its connection is not."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

FAILED: list[asyncio.Task[None]] = []


async def work(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        raise RuntimeError("the row is not valid")


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    FAILED.append(asyncio.create_task(work(engine), name="importer"))
    await asyncio.sleep(1.6)
    FAILED[0].exception()
    await engine.dispose()


asyncio.run(main())
print("done")
