"""A session goes from the coroutine to an executor's thread and back, by turns; each waits for the other."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])
executor = ThreadPoolExecutor(3)


def heavy(session: Session) -> None:
    session.execute(text("select 1")).all()


async def request() -> None:
    loop = asyncio.get_running_loop()
    with Session(engine) as session:
        for _ in range(3):
            session.execute(text("select 1")).all()
            await loop.run_in_executor(executor, heavy, session)


async def main() -> None:
    await asyncio.gather(*(request() for _ in range(3)))


asyncio.run(main())
executor.shutdown()
print("done")
