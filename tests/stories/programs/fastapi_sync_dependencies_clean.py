"""FastAPI, a sync dependency with a Session and sync endpoints: one request, several threads, all correct."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
app = FastAPI()


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        session.execute(text("select 1")).all()
        yield session
        session.execute(text("select 1")).all()


def get_user(session: Session = Depends(get_session)) -> int:
    return int(session.execute(text("select 1")).scalar_one())


@app.get("/orders")
def orders(user: int = Depends(get_user), session: Session = Depends(get_session)) -> int:
    return user + int(session.execute(text("select 1")).scalar_one())


async def main() -> None:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for _ in range(4):
            answers = await asyncio.gather(*(client.get("/orders") for _ in range(12)))
            assert all(answer.json() == 2 for answer in answers)
        await asyncio.sleep(1.4)


asyncio.run(main())
print("done")
