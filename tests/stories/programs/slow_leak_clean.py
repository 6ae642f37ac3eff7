"""Of a hundred requests one fails and gives its connection back too, while ever more of them come at a time."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
to_be_looked_into: list[int] = []


def handle(number: int) -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        time.sleep(0.03)
        connection.execute(text("select 2")).all()
        if number % 100 == 99:
            to_be_looked_into.append(number)


for at_a_time in range(2, 10):
    with ThreadPoolExecutor(at_a_time) as executor:
        list(executor.map(handle, range(12 * at_a_time)))
print("done")
