"""A task is cancelled after it put its connection into a module's list."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

KEPT: list[AsyncConnection] = []


async def work(engine: AsyncEngine) -> None:
    connection = await engine.connect()  # <- site
    KEPT.append(connection)
    await connection.execute(text("select 1"))
    await asyncio.sleep(60)
    await connection.close()


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    task = asyncio.create_task(work(engine), name="importer")
    while not KEPT:
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.sleep(2.2)
    await KEPT.pop().close()
    await engine.dispose()


asyncio.run(main())
print("done")
