"""Three connections and eight threads: five wait a moment, everybody is served."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=3, max_overflow=0, pool_timeout=10)


def work() -> None:
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
            time.sleep(0.05)


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
