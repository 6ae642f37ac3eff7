"""Three connections and eight threads: the holders take their time, and somebody waits until the timeout."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.exc import TimeoutError
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=3, max_overflow=0, pool_timeout=0.5)
held = threading.Semaphore(0)


def work() -> None:
    try:
        with engine.connect() as connection:  # <- site
            connection.execute(text("select 1")).all()
            held.release()
            time.sleep(1.2)
    except TimeoutError:
        pass


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(8)]
for thread in threads[:3]:
    thread.start()
for _ in range(3):
    held.acquire()
for thread in threads[3:]:
    thread.start()
for thread in threads:
    thread.join()
print("done")
