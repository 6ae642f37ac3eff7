"""anyio's worker threads serve one request after the other's turn, with a session handed over."""

from __future__ import annotations

import os

import anyio
import anyio.to_thread
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def read(session: Session) -> None:
    session.execute(text("select 1")).all()


async def request() -> None:
    with Session(engine) as session:
        for _ in range(4):
            await anyio.to_thread.run_sync(read, session)
            await anyio.sleep(0.01)


async def main() -> None:
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(request)


anyio.run(main)
print("done")
