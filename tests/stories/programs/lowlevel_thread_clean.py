"""A thread that threading knows nothing of holds a connection for a while, and gives it back."""

from __future__ import annotations

import _thread
import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
finished: list[bool] = []


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        time.sleep(2)
    finished.append(True)


_thread.start_new_thread(work, ())
while not finished:
    time.sleep(0.05)
print("done")
