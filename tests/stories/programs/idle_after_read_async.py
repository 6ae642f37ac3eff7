"""An AsyncSession has only read, and awaits another service's answer, its transaction open."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


async def ask_partner(known: int) -> int:
    await asyncio.sleep(1.5)  # their service is slow today
    return known + 1


async def handle(engine: AsyncEngine) -> int:
    async with AsyncSession(engine) as session:
        known = (await session.execute(text("select count(*) from pg_am"))).scalar_one()  # <- site
        return await ask_partner(known)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    assert await asyncio.create_task(handle(engine), name="handler") > 1
    await asyncio.sleep(0.4)
    await engine.dispose()


asyncio.run(main())
print("done")
