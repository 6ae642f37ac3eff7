"""The query raises, and putconn is skipped (tconbeer/harlequin-postgres#66)."""

from __future__ import annotations

import gc
import os

import psycopg
from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def query(pool: ConnectionPool, text: str) -> None:
    connection = pool.getconn()  # <- site
    connection.execute(text)
    pool.putconn(connection)


with ConnectionPool(URL, min_size=2, open=True) as pool:
    try:
        query(pool, "select nonsense")
    except psycopg.Error:
        pass
    gc.collect()
    query(pool, "select 1")

print("done")
