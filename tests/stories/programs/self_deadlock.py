"""Two threads each hold one connection of a pool of two and ask for a second one."""

from __future__ import annotations

import os
import threading

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=1.2)
both_hold = threading.Barrier(2)


def borrow() -> Connection:
    return engine.connect()  # <- site


def work() -> None:
    with borrow() as outer:
        outer.execute(text("select 1")).all()
        both_hold.wait()
        try:
            with borrow() as inner:
                inner.execute(text("select 1")).all()
        except TimeoutError:
            pass


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
