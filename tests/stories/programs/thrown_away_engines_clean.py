"""Engines made for one query and thrown away without dispose(), their connections returned."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text


def query() -> None:
    engine = create_engine(os.environ["STORY_URL"])
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


for _ in range(5):
    query()
    gc.collect()
time.sleep(0.6)
print("done")
