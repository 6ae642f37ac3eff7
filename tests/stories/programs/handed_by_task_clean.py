"""A child task opens the connection and ends; the parent holds it, in an object of its own, and closes it."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


class Service:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.connections: dict[str, AsyncConnection] = {}

    async def open(self) -> None:
        self.connections["main"] = await self.engine.connect()


async def main() -> None:
    service = Service(create_async_engine(os.environ["STORY_URL"]))
    await asyncio.create_task(service.open(), name="opener")
    await asyncio.sleep(2)
    connection = service.connections.pop("main")
    await connection.execute(text("select 1"))
    await connection.close()
    await service.engine.dispose()


asyncio.run(main())
print("done")
