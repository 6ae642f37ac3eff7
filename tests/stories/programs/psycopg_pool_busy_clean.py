"""Four threads share two connections of a pool, one for long; null pools and close_returns too."""

from __future__ import annotations

import os
import threading
import time

from psycopg_pool import ConnectionPool, NullConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def work(pool: ConnectionPool) -> None:
    until = time.monotonic() + 0.9
    while time.monotonic() < until:
        with pool.connection() as connection:
            connection.execute("select pg_sleep(0.05)")


def batch(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        until = time.monotonic() + 1.8
        while time.monotonic() < until:
            connection.execute("select 1")
            time.sleep(0.2)


def run(pool: ConnectionPool) -> None:
    threads = [threading.Thread(target=target, args=(pool,)) for target in (work, work, work, batch)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


with ConnectionPool(URL, min_size=2, open=True) as pool, NullConnectionPool(URL, max_size=2, open=True) as null:
    run(pool)
    run(null)
with ConnectionPool(URL, min_size=1, open=True, close_returns=True) as pool:
    pool.getconn().close()
    pool.getconn().close()

print("done")
