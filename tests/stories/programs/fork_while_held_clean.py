"""The parent holds a connection across a fork; the child never touches it, and uses an engine of its own."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
    child = os.fork()
    if child == 0:
        mine = create_engine(os.environ["STORY_URL"])
        with mine.connect() as own:
            own.execute(text("select 1")).all()
        time.sleep(1.5)
        os._exit(0)
    os.waitpid(child, 0)
    connection.execute(text("select 2")).all()
print("done")
