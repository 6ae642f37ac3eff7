"""The same function with `with`."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def count() -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select 1")).scalar_one())


for _ in range(3):
    count()
    gc.collect()
time.sleep(0.6)
print("done")
