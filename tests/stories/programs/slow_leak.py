"""Soju06/codex-lb#672: of a hundred requests one fails, and keeps its connection."""

from __future__ import annotations

import os
import time

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
to_be_looked_into: list[tuple[int, Connection]] = []


def handle(number: int) -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    connection.rollback()
    if number % 100 == 99:
        to_be_looked_into.append((number, connection))
        return
    connection.close()


for hundred in range(8):
    for number in range(100):
        handle(100 * hundred + number)
    time.sleep(0.4)
print("done")
