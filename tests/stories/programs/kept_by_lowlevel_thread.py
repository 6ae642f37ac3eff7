"""A thread that threading knows nothing of leaves its connection in a module's list and ends."""

from __future__ import annotations

import _thread
import os
import time

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
KEPT: list[Connection] = []


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    KEPT.append(connection)


_thread.start_new_thread(work, ())
while not KEPT:
    time.sleep(0.05)
time.sleep(2.4)
print("done")
