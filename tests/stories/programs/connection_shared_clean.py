"""Two threads send statements at the same moment, each over its own connection."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
start = threading.Barrier(2)


def work() -> None:
    with engine.connect() as connection:
        start.wait()
        for _ in range(20):
            connection.execute(text("select 1")).all()


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
