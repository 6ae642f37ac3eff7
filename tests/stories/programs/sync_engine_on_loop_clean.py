"""A sync engine used on the loop's thread, always with a connection to be had: slow style, but nobody waits."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


async def handler() -> None:
    for _ in range(5):
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
            await asyncio.sleep(0.01)


async def main() -> None:
    await asyncio.gather(*(handler() for _ in range(4)))


asyncio.run(main())
print("done")
