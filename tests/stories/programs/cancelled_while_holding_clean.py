"""A task is cancelled in the middle of its statement; `async with` gives the connection back or throws it away."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

SLOW = {"postgresql": "select pg_sleep(0.5)", "mysql": "select sleep(0.5)"}


async def request(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(text(SLOW.get(engine.dialect.name, "select 1")))
        await asyncio.sleep(5)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    tasks = [asyncio.create_task(request(engine), name=f"request-{n}") for n in range(3)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(1.5)
    await engine.dispose()


asyncio.run(main())
print("done")
