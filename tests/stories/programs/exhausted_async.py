"""More tasks than connections, and the holders keep them until somebody's wait times out."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


async def work(engine: AsyncEngine) -> None:
    try:
        async with engine.connect() as connection:  # <- site
            await connection.execute(text("select 1"))
            await asyncio.sleep(1.2)
    except TimeoutError:
        pass


async def main() -> None:
    engine = create_async_engine(
        os.environ["STORY_URL"], poolclass=AsyncAdaptedQueuePool, pool_size=2, max_overflow=0, pool_timeout=0.5
    )
    tasks = [asyncio.create_task(work(engine), name=f"worker-{n}") for n in range(4)]
    await asyncio.gather(*tasks)
    await engine.dispose()


asyncio.run(main())
print("done")
