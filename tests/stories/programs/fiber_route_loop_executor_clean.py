"""A parent chose the primary; its child, by loop executor, inherits the route and reads from there."""

from __future__ import annotations

import asyncio
import os

from sqlalchemy import create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"])
poolwatch.tag(engine, role="primary")


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


async def main() -> None:
    loop = asyncio.get_running_loop()
    with poolwatch.connected_to(role="primary"):
        await asyncio.gather(*(loop.run_in_executor(None, poolwatch.inherit(read)) for _ in range(3)))


asyncio.run(main())
print("done")
