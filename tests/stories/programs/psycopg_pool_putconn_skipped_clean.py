"""The query raises, and putconn stands in finally; broken, expired and drained connections are no leak either."""

from __future__ import annotations

import gc
import os

import psycopg
from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def query(pool: ConnectionPool, text: str) -> None:
    connection = pool.getconn()
    try:
        connection.execute(text)
    finally:
        pool.putconn(connection)


with ConnectionPool(URL, min_size=2, open=True, timeout=10) as pool:
    for text in ("select nonsense", "select pg_terminate_backend(pg_backend_pid())"):
        try:
            query(pool, text)
        except psycopg.Error:
            pass
    gc.collect()
    pool.drain()
    query(pool, "select 1")
    last = pool.getconn()
    pool.drain()
pool.putconn(last)

print("done")
