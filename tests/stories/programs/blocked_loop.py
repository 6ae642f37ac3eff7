"""A coroutine waits for a sync engine's pool on the loop's thread: everybody on the loop stands still."""

from __future__ import annotations

import asyncio
import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=5)
held = threading.Event()


def batch() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        held.set()
        time.sleep(1)


async def handler() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


async def main() -> None:
    await asyncio.create_task(handler(), name="handler")


worker = threading.Thread(target=batch, name="batch")
worker.start()
held.wait()
asyncio.run(main())
worker.join()
print("done")
