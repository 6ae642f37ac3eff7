"""A task ends, but the living loop has the connection's close() in its timetable."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


async def lend() -> None:
    connection = engine.connect()
    connection.execute(text("select 1")).all()
    asyncio.get_running_loop().call_later(2, connection.close)


async def main() -> None:
    await asyncio.create_task(lend(), name="lender")
    await asyncio.sleep(2.4)


asyncio.run(main())
print("done")
