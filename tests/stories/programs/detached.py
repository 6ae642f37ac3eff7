"""A detached connection belongs to nobody's pool, and is forgotten."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def take_out() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    connection.detach()


take_out()
gc.collect()
time.sleep(0.6)
print("done")
