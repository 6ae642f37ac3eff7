"""Connections are invalidated, hard and soft, with and without use afterwards."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
    connection.invalidate()
    connection.rollback()
    connection.execute(text("select 1")).all()
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
    connection.invalidate()
raw = engine.raw_connection()
raw.invalidate(soft=True)
raw.close()
raw = engine.raw_connection()
raw.invalidate()
raw.close()
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
gc.collect()
time.sleep(0.6)
print("done")
