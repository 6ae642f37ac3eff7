"""asyncio.wait_for around a statement: on Python 3.11 and earlier it runs in a task of its own."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


async def request(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        for _ in range(3):
            await asyncio.wait_for(session.execute(text("select 1")), timeout=5)
        await asyncio.sleep(2)  # the task that took the connection ended long ago; this one holds it
        await asyncio.wait_for(session.execute(text("select 1")), timeout=5)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.gather(*(request(engine) for _ in range(3)))
    await engine.dispose()


asyncio.run(main())
print("done")
