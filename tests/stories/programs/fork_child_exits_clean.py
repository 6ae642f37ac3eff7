"""The parent holds a connection over a fork; the child never touches it and ends the usual way, with exit functions."""

from __future__ import annotations

import os
import sys
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text("select 1")).all()
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        sys.exit(0)
    os.waitpid(child, 0)
    connection.execute(text("select 2")).all()
print("done")
