"""An AsyncSession and a connection are committed before the long wait: held or not, no transaction is open."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

INSERT = text("insert into commits_async values (1)")


async def with_session(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(INSERT)
        await session.commit()
        await asyncio.sleep(1.5)


async def with_connection(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(INSERT)
        await connection.commit()
        await asyncio.sleep(1.5)


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with engine.begin() as connection:
        await connection.execute(text("create table if not exists commits_async (n integer)"))
    await asyncio.gather(with_session(engine), with_connection(engine))
    await engine.dispose()


asyncio.run(main())
print("done")
