"""A web application opens its pool in its lifespan, and every request uses it on that loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")
pool = AsyncConnectionPool(URL, min_size=1, max_size=3, open=False)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def read() -> int:
    async with pool.connection() as connection:
        row = await (await connection.execute("select 1")).fetchone()
        return row[0]


async def main() -> None:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            answers = await asyncio.gather(*(client.get("/") for _ in range(20)))
            assert all(answer.status_code == 200 for answer in answers)


asyncio.run(main())

print("done")
