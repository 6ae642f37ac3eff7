"""A generator that holds a connection is started and thrown away half way: its own `with` cleans up."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def rows() -> Iterator[int]:
    with engine.connect() as connection:
        yield from connection.execute(text("select 1 union all select 2")).scalars()


def first() -> int:
    return next(rows())


first()
gc.collect()
time.sleep(0.5)
print("done")
