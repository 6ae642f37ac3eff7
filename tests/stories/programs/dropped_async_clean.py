"""The same coroutine with `async with`."""

from __future__ import annotations

import asyncio
import gc
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text("select 1"))).scalar_one())


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    for _ in range(3):
        await asyncio.create_task(count(engine), name="counter")
        gc.collect()
    await asyncio.sleep(0.6)
    await engine.dispose()


asyncio.run(main())
print("done")
