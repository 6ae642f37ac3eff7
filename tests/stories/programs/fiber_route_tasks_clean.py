"""Tasks inherit the route by themselves, and a Session chooses its engine by it."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import poolwatch

primary = create_async_engine(os.environ["STORY_URL"])
replica = create_async_engine(os.environ["STORY_URL"])
poolwatch.tag(primary, role="primary")
poolwatch.tag(replica, role="replica")


class RoutedSession(Session):
    def get_bind(self, *args: Any, **kwargs: Any) -> Engine:
        return replica.sync_engine if poolwatch.route().get("role") == "replica" else primary.sync_engine


async def read() -> None:
    async with AsyncSession(sync_session_class=RoutedSession) as session:
        await session.execute(text("select 1"))


async def main() -> None:
    with poolwatch.connected_to(role="replica"):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(read())
        await asyncio.wait_for(read(), 5)
    await asyncio.gather(read(), read())
    await primary.dispose()
    await replica.dispose()


asyncio.run(main())
print("done")
