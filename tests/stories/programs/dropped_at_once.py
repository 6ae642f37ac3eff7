"""The connection is dropped at the very end of the program: the last look must still see it."""

from __future__ import annotations

import gc
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def count() -> int:
    connection = engine.connect()  # <- site
    return int(connection.execute(text("select 1")).scalar_one())


count()
gc.collect()
print("done")
