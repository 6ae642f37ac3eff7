"""Two threads that know nothing of each other use one module-level connection, now this one, now that one."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()  # <- site


def work(delay: float) -> None:
    time.sleep(delay)
    for _ in range(4):
        connection.execute(text("select 1")).all()  # <- site
        time.sleep(0.2)


threads = [threading.Thread(target=work, args=(0.1 * n,), name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
connection.close()
print("done")
