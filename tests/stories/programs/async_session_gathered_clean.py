"""One AsyncSession for each task of the gather()."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


async def load(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        for _ in range(3):
            await session.execute(text("select 1"))
            await asyncio.sleep(0.01)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.gather(*(load(engine) for _ in range(4)))
    await engine.dispose()


asyncio.run(main())
print("done")
