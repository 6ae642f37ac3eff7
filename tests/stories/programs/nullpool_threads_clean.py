"""NullPool under threads: a new connection each time, closed each time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

engine = create_engine(os.environ["STORY_URL"], poolclass=NullPool)


def work(number: int) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select 1")).scalar_one())


with ThreadPoolExecutor(4) as executor:
    assert sum(executor.map(work, range(24))) == 24
print("done")
