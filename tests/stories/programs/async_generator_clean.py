"""A session from an async generator, as dependency systems do it, closed in another task than it was opened in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine


async def get_session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


async def advance(generator: AsyncIterator[AsyncSession]) -> AsyncSession:
    return await generator.__anext__()


async def request(engine: AsyncEngine) -> None:
    generator = get_session(engine)
    session = await asyncio.create_task(advance(generator))
    await asyncio.create_task(session.execute(text("select 1")))
    await asyncio.sleep(1.6)
    await session.execute(text("select 1"))
    with contextlib.suppress(StopAsyncIteration):
        await asyncio.create_task(advance(generator))


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    await asyncio.gather(*(request(engine) for _ in range(3)))
    await engine.dispose()


asyncio.run(main())
print("done")
