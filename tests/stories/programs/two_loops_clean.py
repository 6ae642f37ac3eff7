"""The engine is disposed of at the end of each asyncio.run."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["STORY_URL"])


async def read() -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def main() -> None:
    await read()
    await engine.dispose()


for _ in range(3):
    asyncio.run(main())
print("done")
