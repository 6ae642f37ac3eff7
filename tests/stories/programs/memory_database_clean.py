"""An in-memory SQLite database with the dialect's own choice of pool, in threads and in the main thread."""

from __future__ import annotations

import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine("sqlite://")


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
work()
time.sleep(1.3)
print("done")
