"""A batch holds its connection for long and uses it all the while, a short statement at a time."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    for _ in range(11):
        connection.execute(text("select 1")).all()
        time.sleep(0.2)
print("done")
