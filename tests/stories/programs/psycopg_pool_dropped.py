"""Connections of a psycopg pool are dropped: nobody says a word, and the pool is dry."""

from __future__ import annotations

import gc
import os

from psycopg_pool import ConnectionPool, PoolTimeout

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def count(pool: ConnectionPool) -> None:
    connection = pool.getconn()  # <- site
    connection.execute("select 1")


with ConnectionPool(URL, min_size=2, max_size=2, open=True) as pool:
    for _ in range(2):
        count(pool)
    gc.collect()
    try:
        pool.getconn(timeout=0.5)
    except PoolTimeout:
        pass

print("done")
