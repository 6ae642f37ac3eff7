"""Two threads share an autocommit connection, which psycopg documents as safe."""

from __future__ import annotations

import os
import threading

from psycopg_pool import ConnectionPool

URL = os.environ["STORY_URL"].replace("+psycopg", "")

with ConnectionPool(URL, min_size=1, open=True, kwargs={"autocommit": True}) as pool, pool.connection() as connection:

    def work() -> None:
        for _ in range(30):
            connection.execute("select pg_sleep(0.01)")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

print("done")
