"""The same, but the read is over before the other service's answer is awaited: committed, or the session closed."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

READ = text("select count(*) from pg_am")


async def ask_partner(known: int) -> int:
    await asyncio.sleep(1.5)  # their service is slow today
    return known + 1


async def handle_with_commit(engine: AsyncEngine) -> int:
    async with AsyncSession(engine) as session:
        known = (await session.execute(READ)).scalar_one()
        await session.commit()
        return await ask_partner(known)


async def handle_with_connection(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        known = (await connection.execute(READ)).scalar_one()
        await connection.rollback()
        return await ask_partner(known)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.gather(handle_with_commit(engine), handle_with_connection(engine))
    await engine.dispose()


asyncio.run(main())
print("done")
