"""An async connection is invalidated and its session goes on with another."""

from __future__ import annotations

import asyncio
import gc
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
        await connection.invalidate()
    async with AsyncSession(engine) as session:
        await session.execute(text("select 1"))
        await session.invalidate()
        await session.execute(text("select 1"))
    gc.collect()
    await asyncio.sleep(0.6)
    await engine.dispose()


asyncio.run(main())
print("done")
