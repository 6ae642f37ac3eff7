"""A Session is used and forgotten."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def count() -> int:
    session = Session(engine)
    return int(session.execute(text("select 1")).scalar_one())  # <- site


count()
gc.collect()
time.sleep(0.6)
print("done")
