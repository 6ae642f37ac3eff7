"""Workers hold every connection of a psycopg pool while another one asks."""

from __future__ import annotations

import os
import threading
import time

from psycopg_pool import ConnectionPool, PoolTimeout

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def work(pool: ConnectionPool) -> None:
    with pool.connection() as connection:  # <- site
        connection.execute("select 1")
        time.sleep(1.5)


with ConnectionPool(URL, min_size=2, max_size=2, open=True) as pool:
    threads = [threading.Thread(target=work, args=(pool,), name=f"worker-{n}") for n in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    try:
        with pool.connection(timeout=0.3):
            pass
    except PoolTimeout:
        pass
    for thread in threads:
        thread.join()

print("done")
