"""An AsyncConnection is forgotten by the coroutine that opened it."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

warnings.simplefilter("ignore")


async def count(engine: AsyncEngine) -> int:
    connection = await engine.connect()  # <- site
    return int((await connection.execute(text("select 1"))).scalar_one())


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.create_task(count(engine), name="counter")
    gc.collect()
    await asyncio.sleep(0.6)
    await engine.dispose()


asyncio.run(main())
print("done")
