"""Two threads take turns on one connection, each turn under a lock, as programs with one SQLite file do."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
lock = threading.Lock()


def work() -> None:
    for _ in range(200):
        with lock:
            connection.execute(text("select 1")).all()
            time.sleep(0.001)


with engine.connect() as connection:
    threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
