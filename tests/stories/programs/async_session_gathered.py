"""One AsyncSession in gather(), with a warm pool: SQLAlchemy is silent."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

SLOW = {
    "postgresql": "select pg_sleep(0.2)",
    "mysql": "select sleep(0.2)",
    "sqlite": "with recursive c(n) as (select 1 union all select n + 1 from c where n < 250000) select count(*) from c",
}


async def load(session: AsyncSession, statement: str) -> None:
    await session.execute(text(statement))  # <- site


async def main() -> None:
    engine = create_async_engine(os.environ["STORY_URL"])
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))
    session = AsyncSession(engine)
    tasks = [asyncio.create_task(load(session, SLOW[engine.dialect.name]), name=f"load-{n}") for n in range(3)]
    await asyncio.gather(*tasks, return_exceptions=True)
    try:
        await session.close()
    except Exception:
        pass
    await engine.dispose()


asyncio.run(main())
print("done")
