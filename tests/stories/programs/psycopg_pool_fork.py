"""A pool opened before fork is used in the child, where its worker threads do not exist."""

from __future__ import annotations

import os

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def read(pool: ConnectionPool) -> None:
    with pool.connection() as connection:  # <- site
        connection.execute("select 1")


pool = ConnectionPool(URL, min_size=1, open=True)
read(pool)
child = os.fork()
if child == 0:
    read(pool)
    os._exit(0)
os.waitpid(child, 0)
pool.close()

print("done")
