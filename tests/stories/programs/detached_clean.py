"""A detached connection is closed by the one who detached it."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def take_out() -> None:
    connection = engine.connect()
    connection.detach()
    connection.execute(text("select 1")).all()
    time.sleep(0.4)
    connection.close()


for _ in range(2):
    take_out()
    gc.collect()
time.sleep(0.6)
print("done")
