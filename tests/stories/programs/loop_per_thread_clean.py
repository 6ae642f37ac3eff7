"""Threads that each run a loop of their own with an engine of their own."""

from __future__ import annotations

import asyncio
import os
import threading

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    for _ in range(3):
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    await engine.dispose()


threads = [threading.Thread(target=asyncio.run, args=(main(),), name=f"loop-{n}") for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
