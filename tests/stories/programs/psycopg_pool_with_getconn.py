"""The block around getconn ends the transaction, and returns nothing (psycopg2#778)."""

from __future__ import annotations

import os
import time

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


with ConnectionPool(URL, min_size=1, max_size=2, open=True) as pool:
    with pool.getconn() as connection:  # <- site
        connection.execute("select 1")
    time.sleep(1.8)
    pool.putconn(connection)

print("done")
