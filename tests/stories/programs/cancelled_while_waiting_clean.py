"""A task is cancelled while it waits for the pool; the library leaves nothing behind."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


async def request(engine: AsyncEngine, seconds: float) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await asyncio.sleep(seconds)


async def main() -> None:
    engine = create_async_engine(
        os.environ["STORY_URL"], poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0, pool_timeout=10
    )
    holder = asyncio.create_task(request(engine, 0.5))
    await asyncio.sleep(0.2)
    waiter = asyncio.create_task(request(engine, 0))
    await asyncio.sleep(0.1)
    waiter.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    await request(engine, 0)
    await asyncio.sleep(1.4)
    await engine.dispose()


asyncio.run(main())
print("done")
