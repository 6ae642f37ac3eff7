"""The loop is over and closed, and a connection of its last task is still in a module's list."""

from __future__ import annotations

import asyncio
import os
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

KEPT: list[AsyncConnection] = []


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    connection = await engine.connect()  # <- site
    KEPT.append(connection)
    await connection.execute(text("select 1"))


asyncio.run(main())
time.sleep(2.2)
print("done")
