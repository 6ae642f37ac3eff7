"""An AsyncSession for each task of a TaskGroup, many at once, a run_sync among them."""

from __future__ import annotations

import asyncio
import os
import sys

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

assert sys.version_info >= (3, 11), "asyncio.TaskGroup"


def count(session: Session) -> int:
    return int(session.execute(text("select 1")).scalar_one())


async def request(make: async_sessionmaker[AsyncSession]) -> None:
    async with make() as session, session.begin():
        await session.execute(text("select 1"))
        await session.run_sync(count)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"], pool_pre_ping=True)
    make = async_sessionmaker(engine, expire_on_commit=False)
    for _ in range(3):
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(request(make))
    await asyncio.sleep(1.3)
    await engine.dispose()


asyncio.run(main())
print("done")
