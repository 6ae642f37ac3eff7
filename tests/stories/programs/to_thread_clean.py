"""asyncio.to_thread for every statement: whichever thread is free runs it, one after the other."""

from __future__ import annotations

import asyncio
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def read(session: Session) -> None:
    session.execute(text("select 1")).all()
    time.sleep(0.01)


async def request() -> None:
    session = await asyncio.to_thread(Session, engine)
    try:
        for _ in range(4):
            await asyncio.to_thread(read, session)
            await asyncio.sleep(0.01)
    finally:
        await asyncio.to_thread(session.close)


async def main() -> None:
    await asyncio.gather(*(request() for _ in range(4)))
    await asyncio.sleep(1.3)


asyncio.run(main())
print("done")
