"""A task leaves its connection in a module's list and ends; the loop goes on."""

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


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.create_task(work(engine), name="importer")
    await asyncio.sleep(2.2)
    await KEPT.pop().close()
    await engine.dispose()


asyncio.run(main())
print("done")
