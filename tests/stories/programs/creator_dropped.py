"""A pool made by hand over a creator function: a forgotten connection is a leak there too."""

from __future__ import annotations

import gc
import os
import sqlite3
import time
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

path = make_url(os.environ["STORY_URL"]).database or ":memory:"


def connect() -> Any:
    return sqlite3.connect(path, check_same_thread=False)


pool = QueuePool(connect, pool_size=2, max_overflow=0)


def count() -> None:
    connection = pool.connect()  # <- site
    connection.cursor().execute("select 1").fetchall()


count()
gc.collect()
time.sleep(0.6)
print("done")
