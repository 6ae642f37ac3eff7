"""An async engine with options, and a look at the things behind it."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_engine_from_config, create_async_engine


async def main() -> None:
    url = os.environ["STORY_URL"]
    full = create_async_engine(url, echo=False, hide_parameters=True, pool_pre_ping=True, pool_recycle=60)
    configured = async_engine_from_config({"sqlalchemy.url": url, "sqlalchemy.echo": "false"})
    for engine in (full, configured):
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
        await engine.dispose()


asyncio.run(main())
print("done")
