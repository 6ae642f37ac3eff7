"""asyncio.wait_for gives up on a statement; `async with` cleans up."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SLOW = {"postgresql": "select pg_sleep(1)", "mysql": "select sleep(1)"}


async def request(engine: AsyncEngine) -> None:
    try:
        async with engine.connect() as connection:
            await asyncio.wait_for(connection.execute(text(SLOW[engine.dialect.name])), timeout=0.2)
    except (asyncio.TimeoutError, TimeoutError):
        pass


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.gather(*(request(engine) for _ in range(2)))
    await asyncio.sleep(1.5)
    await engine.dispose()


asyncio.run(main())
print("done")
