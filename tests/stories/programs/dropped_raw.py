"""A raw connection and its cursor are forgotten."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine

engine = create_engine(os.environ["STORY_URL"])


def count() -> None:
    raw = engine.raw_connection()  # <- site
    cursor = raw.cursor()
    cursor.execute("select 1")
    cursor.fetchall()


count()
gc.collect()
time.sleep(0.6)
print("done")
