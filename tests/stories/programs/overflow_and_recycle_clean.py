"""A pool that overflows, recycles every connection and hands out the last one first."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(
    os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=4, pool_recycle=0.1, pool_use_lifo=True
)


def work() -> None:
    for _ in range(4):
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
            time.sleep(0.05)


threads = [threading.Thread(target=work) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
