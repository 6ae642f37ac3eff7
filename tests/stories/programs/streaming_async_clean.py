"""An async stream read to its end, and one left half way, inside `async with`."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

MANY = "with recursive c(n) as (select 1 union all select n + 1 from c where n < 900) select n from c"


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with engine.connect() as connection:
        async with connection.stream(text(MANY)) as result:
            assert len([row async for row in result]) == 900
    async with AsyncSession(engine) as session:
        async for row in await session.stream(text(MANY)):
            if row.n == 20:
                break
    await asyncio.sleep(0.5)
    await engine.dispose()


asyncio.run(main())
print("done")
