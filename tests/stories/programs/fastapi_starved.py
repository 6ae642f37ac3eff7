"""fastapi#3205: sync dependencies hold connections; the endpoints wait for a thread, the threads for a connection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import anyio.to_thread
import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=0.7)
app = FastAPI()


def get_session() -> Iterator[Session]:
    session = Session(engine)
    try:
        session.execute(text("select 1")).all()  # <- site
        yield session
    finally:
        session.close()


@app.get("/orders")
def orders(session: Session = Depends(get_session)) -> int:
    return int(session.execute(text("select 1")).scalar_one())


async def main() -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 3
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        await asyncio.gather(*(client.get("/orders") for _ in range(12)))


asyncio.run(main())
print("done")
