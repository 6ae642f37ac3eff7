"""SQLAlchemy takes its connections from a psycopg pool, as the documentation of psycopg shows: one loan, not two."""

from __future__ import annotations

import os
import time

from psycopg_pool import ConnectionPool
from sqlalchemy import NullPool, QueuePool, create_engine, text

URL = os.environ["STORY_URL"].replace("+psycopg", "")

with ConnectionPool(URL, min_size=1, max_size=3, open=True, close_returns=True) as pool:
    for kind in (NullPool, QueuePool):
        engine = create_engine("postgresql+psycopg://", creator=pool.getconn, poolclass=kind)
        for _ in range(3):
            with engine.connect() as connection:
                connection.execute(text("select 1"))
        time.sleep(1.5)
        engine.dispose()

print("done")
