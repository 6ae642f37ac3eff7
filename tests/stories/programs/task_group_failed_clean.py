"""One task of a group fails and its siblings are cancelled, each inside `async with`."""

from __future__ import annotations

import asyncio
import os
import sys

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

assert sys.version_info >= (3, 11), "asyncio.TaskGroup"


async def request(engine: AsyncEngine, number: int) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(text("select 1"))
        if number == 3:
            raise ValueError("the row is not valid")
        await asyncio.sleep(10)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(request(engine, number))
    except Exception as error:  # the group's
        assert "1 sub-exception" in str(error)
    await asyncio.sleep(1.4)
    await engine.dispose()


asyncio.run(main())
print("done")
