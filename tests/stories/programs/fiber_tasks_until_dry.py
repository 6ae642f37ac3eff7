"""Fibers end normally, by an error and cancelled, and keep their connections until the pool is dry."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

KEPT: list[AsyncConnection] = []


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
    try:
        await engine.connect()
    except Exception:
        pass
    for connection in KEPT:
        await connection.close()
    KEPT.clear()
    await engine.dispose()


asyncio.run(main())
print("done")
