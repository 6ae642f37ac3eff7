"""Two tasks each hold one connection of a pool of two and ask for a second one."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool


async def borrow(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()  # <- site


async def work(engine: AsyncEngine) -> None:
    outer = await borrow(engine)
    await outer.execute(text("select 1"))
    await asyncio.sleep(0.1)
    try:
        inner = await borrow(engine)
        await inner.close()
    except TimeoutError:
        pass
    finally:
        await outer.close()


async def main() -> None:
    engine = create_async_engine(
        os.environ["STORY_URL"], poolclass=AsyncAdaptedQueuePool, pool_size=2, max_overflow=0, pool_timeout=1
    )
    await asyncio.gather(*(asyncio.create_task(work(engine), name=f"worker-{n}") for n in range(2)))
    await engine.dispose()


asyncio.run(main())
print("done")
