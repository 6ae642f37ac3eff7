"""Fibers end normally, by an error and cancelled; poolwatch.fiber gives back what they keep."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import poolwatch

KEPT: list[AsyncConnection] = []


@poolwatch.fiber()
async def resolve(engine: AsyncEngine, how: str) -> None:
    connection = await engine.connect()  # <- site
    KEPT.append(connection)
    await connection.execute(text("select 1"))
    if how == "fails":
        raise RuntimeError("the row is not valid")
    if how == "cancelled":
        await asyncio.sleep(60)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"], pool_size=3, max_overflow=0, pool_timeout=2.2)
    fibers = [
        asyncio.create_task(resolve(engine, how), name=f"fiber-{how}") for how in ("returns", "fails", "cancelled")
    ]
    await asyncio.sleep(0.4)
    fibers[2].cancel()
    await asyncio.gather(*fibers, return_exceptions=True)
    del fibers
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    KEPT.clear()
    await engine.dispose()


asyncio.run(main())
print("done")
