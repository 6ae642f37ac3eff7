"""async_scoped_session keyed by the task, removed at the end of each."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine


async def request(registry: async_scoped_session[AsyncSession]) -> None:
    try:
        for _ in range(3):
            await registry.execute(text("select 1"))
            await asyncio.sleep(0.01)
    finally:
        await registry.remove()


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    registry = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    await asyncio.gather(*(asyncio.create_task(request(registry)) for _ in range(5)))
    await asyncio.sleep(1.3)
    await engine.dispose()


asyncio.run(main())
print("done")
