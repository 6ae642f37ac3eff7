"""Each thread does both pieces of work on the one connection it holds."""

from __future__ import annotations

import os
import threading

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=1.2)
both_hold = threading.Barrier(2)


def audit(connection: Connection) -> None:
    connection.execute(text("select 1")).all()


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        both_hold.wait()
        audit(connection)


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
