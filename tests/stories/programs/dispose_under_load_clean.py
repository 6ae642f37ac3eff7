"""The engine is disposed of again and again while threads hold and return its connections."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=3, max_overflow=2, pool_timeout=5)
until = time.monotonic() + 1


def work() -> None:
    while time.monotonic() < until:
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
            time.sleep(0.01)


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(4)]
for thread in threads:
    thread.start()
while time.monotonic() < until:
    engine.dispose()
    time.sleep(0.05)
for thread in threads:
    thread.join()
engine.dispose()
time.sleep(1.3)
print("done")
