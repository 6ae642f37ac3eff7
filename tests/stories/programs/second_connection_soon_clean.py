"""A holder waits for a second connection, but the other holder is about to give its own back: no deadlock."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=5)
both_hold = threading.Barrier(2)


def nested() -> None:
    with engine.connect() as outer:
        outer.execute(text("select 1")).all()
        both_hold.wait()
        with engine.connect() as inner:
            inner.execute(text("select 1")).all()


def simple() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        both_hold.wait()
        time.sleep(0.7)


threads = [threading.Thread(target=nested, name="nested"), threading.Thread(target=simple, name="simple")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
