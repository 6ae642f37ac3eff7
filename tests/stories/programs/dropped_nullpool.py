"""Even without pooling, a connection that nobody closes lives until the collector comes."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

engine = create_engine(os.environ["STORY_URL"], poolclass=NullPool)


def count() -> int:
    connection = engine.connect()  # <- site
    return int(connection.execute(text("select 1")).scalar_one())


count()
gc.collect()
time.sleep(0.6)
print("done")
