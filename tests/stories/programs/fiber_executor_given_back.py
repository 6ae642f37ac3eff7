"""Work items end while they hold; poolwatch.fiber gives the connections back, though the workers live on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"], pool_size=2, max_overflow=0, pool_timeout=2)
KEPT: list[Connection] = []


@poolwatch.fiber()
def report(number: int) -> None:
    connection = engine.connect()  # <- site
    KEPT.append(connection)
    connection.execute(text("select 1")).all()
    if number % 2:
        raise ValueError(number)


with ThreadPoolExecutor(2, thread_name_prefix="worker") as workers:
    for future in [workers.submit(report, number) for number in range(6)]:
        future.exception()
print("done")
