"""Somebody waits for a connection longer than is bearable, though it comes before the timeout."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=10)


def work() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()
        time.sleep(1.8)


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
