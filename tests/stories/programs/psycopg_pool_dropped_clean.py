"""Connections of a psycopg pool are put back, by a block or by hand, by this thread or another."""

from __future__ import annotations

import os
import threading

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def count(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("select 1")
    connection = pool.getconn()
    try:
        connection.execute("select 1").fetchone()
        connection.commit()
    finally:
        pool.putconn(connection)


with ConnectionPool(
    URL, min_size=1, max_size=2, open=True, reset=lambda c: c.execute("select 1") and c.commit()
) as pool:
    threads = [threading.Thread(target=count, args=(pool,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection = pool.getconn()
    returner = threading.Thread(target=pool.putconn, args=(connection,))
    returner.start()
    returner.join()

print("done")
