"""A thread leaves a connection of a psycopg pool in a module list and ends."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")
KEPT: list[Any] = []


def work(pool: ConnectionPool) -> None:
    connection = pool.getconn()  # <- site
    connection.execute("select 1")
    connection.commit()
    KEPT.append(connection)


with ConnectionPool(URL, min_size=1, max_size=2, open=True) as pool:
    thread = threading.Thread(target=work, args=(pool,), name="importer")
    thread.start()
    thread.join()
    time.sleep(2.2)
    pool.putconn(KEPT.pop())

print("done")
