"""A pool made before fork is opened in the child."""

from __future__ import annotations

import os

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")


def read(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("select 1")


pool = ConnectionPool(URL, min_size=1, open=False)
child = os.fork()
pool.open(wait=True)
read(pool)
pool.close()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)

print("done")
