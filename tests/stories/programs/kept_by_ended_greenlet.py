"""A raw greenlet runs to its end and leaves its connection in a module's list."""

from __future__ import annotations

import os
import time

from greenlet import greenlet
from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
KEPT: list[Connection] = []


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    KEPT.append(connection)


greenlet(work).switch()
time.sleep(2.2)
print("done")
