"""A task holds the sync pool's only connection over an await; the next one blocks the loop, and with it the holder."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.8)


async def handler() -> None:
    try:
        with engine.connect() as connection:  # <- site
            connection.execute(text("select 1")).all()
            await asyncio.sleep(0.1)
    except TimeoutError:
        pass


async def main() -> None:
    await asyncio.gather(*(asyncio.create_task(handler(), name=f"handler-{n}") for n in range(2)))


asyncio.run(main())
print("done")
