"""An AsyncSession has written something and then awaits an HTTP call, its transaction open."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


async def handler(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(text("insert into visits_async values (1)"))  # <- site
        await asyncio.sleep(1.5)
        await session.commit()


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with engine.begin() as connection:
        await connection.execute(text("create table if not exists visits_async (n integer)"))
    await asyncio.create_task(handler(engine), name="handler")
    await asyncio.sleep(0.4)
    await engine.dispose()


asyncio.run(main())
print("done")
