"""Resolvers and a data loader run concurrently, each on an AsyncSession of its own."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import strawberry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from strawberry.dataloader import DataLoader

engine = create_async_engine(os.environ["STORY_URL"])


async def load(info: Any, number: int) -> int:
    async with AsyncSession(engine) as session:
        await session.execute(text("select pg_sleep(0.1)"))
    return number


@strawberry.type
class Query:
    @strawberry.field
    async def orders(self, info: strawberry.Info) -> int:
        return await load(info, 1)

    @strawberry.field
    async def customers(self, info: strawberry.Info) -> int:
        return await load(info, 2)

    @strawberry.field
    async def bills(self, info: strawberry.Info) -> int:
        return await info.context["bills"].load(3)


async def main() -> None:
    async with engine.connect() as warm:
        await warm.execute(text("select 1"))
    async with AsyncSession(engine) as session:
        context: dict[str, Any] = {"session": session}

        async def bills(keys: list[int]) -> list[int]:
            return [await load(type("Info", (), {"context": context}), key) for key in keys]

        context["bills"] = DataLoader(bills)
        await strawberry.Schema(Query).execute("{ orders customers bills }", context_value=context)
    await engine.dispose()


asyncio.run(main())
print("done")
