"""FastAPI on uvicorn: sync dependencies, async sessions, background tasks and streams, all given back."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

URL = os.environ["LOAD_URL"]
engine = create_engine(URL, pool_size=30)
async_engine = create_async_engine(URL.replace("+psycopg", "+asyncpg"), pool_size=10)
app = FastAPI()


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(async_engine) as session:
        yield session


def record(number: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("select :number"), {"number": number})


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.get("/orders/{id}")
def order(id: int, session: Annotated[Session, Depends(get_session)]) -> int:
    return int(session.execute(text("select 1")).scalar_one())


@app.get("/customers/{name}")
async def customer(name: str, session: Annotated[AsyncSession, Depends(get_async_session)]) -> int:
    return int((await session.execute(text("select 1"))).scalar_one())


@app.post("/bills/{number}")
async def bill(number: int, tasks: BackgroundTasks, session: Annotated[Session, Depends(get_session)]) -> int:
    tasks.add_task(record, number)
    return int(session.execute(text("select 1")).scalar_one())


@app.get("/export/{number}")
def export(number: int) -> StreamingResponse:
    def rows() -> Iterator[str]:
        with engine.connect() as connection:
            yield from map(str, connection.execute(text("select 1")).scalars())

    return StreamingResponse(rows())
