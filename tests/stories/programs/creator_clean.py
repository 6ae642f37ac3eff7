"""A pool made by hand over a creator function, used without an engine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

path = make_url(os.environ["STORY_URL"]).database or ":memory:"


def connect() -> Any:
    return sqlite3.connect(path, check_same_thread=False)


pool = QueuePool(connect, pool_size=2, max_overflow=0, timeout=5)


def work() -> None:
    for _ in range(5):
        with contextlib.closing(pool.connect()) as connection:
            connection.cursor().execute("select 1").fetchall()


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
