"""A report query of an async engine runs longer than a connection may be held idle."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

SLOW = {"postgresql": "select pg_sleep(2.2)", "mysql": "select sleep(2.2)"}


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with AsyncSession(engine) as session:
        await session.execute(text(SLOW[engine.dialect.name]))
    await engine.dispose()


asyncio.run(main())
print("done")
