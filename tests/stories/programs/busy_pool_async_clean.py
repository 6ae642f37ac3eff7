"""More tasks than connections, each served after a moment."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


async def work(engine: AsyncEngine) -> None:
    for _ in range(3):
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            await asyncio.sleep(0.03)


async def main() -> None:
    engine = create_async_engine(
        os.environ["STORY_URL"], poolclass=AsyncAdaptedQueuePool, pool_size=2, max_overflow=0, pool_timeout=10
    )
    await asyncio.gather(*(work(engine) for _ in range(10)))
    await engine.dispose()


asyncio.run(main())
print("done")
