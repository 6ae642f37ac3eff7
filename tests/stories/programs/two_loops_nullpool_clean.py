"""With NullPool an AsyncEngine may serve one loop after another: nothing outlives its loop."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

engine = create_async_engine(os.environ["STORY_URL"], poolclass=NullPool)


async def read() -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


for _ in range(3):
    asyncio.run(read())
print("done")
