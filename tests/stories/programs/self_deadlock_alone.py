"""One thread asks a pool of one for a second connection while it holds the first."""

from __future__ import annotations

import os

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=1)


def borrow() -> Connection:
    return engine.connect()  # <- site


with borrow() as outer:
    outer.execute(text("select 1")).all()
    try:
        borrow().close()
    except TimeoutError:
        pass
print("done")
