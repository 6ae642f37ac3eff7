"""A function forgets to close: the last reference goes, and nobody says a word."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def count() -> int:
    connection = engine.connect()  # <- site
    return int(connection.execute(text("select 1")).scalar_one())


for _ in range(3):
    count()
    gc.collect()
time.sleep(0.6)
print("done")
