"""A task raises; its exception, never looked at, keeps the frame and the connection in it."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

FAILED: list[asyncio.Task[None]] = []


async def work(engine: AsyncEngine) -> None:
    connection = await engine.connect()  # <- site
    await connection.execute(text("select 1"))
    raise RuntimeError("the row is not valid")


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    FAILED.append(asyncio.create_task(work(engine), name="importer"))
    await asyncio.sleep(2.4)
    FAILED[0].exception()


asyncio.run(main())
print("done")
