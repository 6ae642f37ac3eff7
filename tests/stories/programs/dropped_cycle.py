"""A connection in an object that refers to itself: only the cycle collector can let it go."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


class Job:
    def __init__(self) -> None:
        self.connection = engine.connect()  # <- site
        self.myself = self
        self.connection.execute(text("select 1")).all()


Job()
time.sleep(0.3)
gc.collect()
time.sleep(0.6)
print("done")
