"""The query raises, and `with` gives the connection back."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

engine = create_engine(os.environ["STORY_URL"])


def count() -> None:
    with engine.connect() as connection:
        connection.execute(text("select * from no_such_table"))


for _ in range(3):
    try:
        count()
    except DBAPIError:
        pass
gc.collect()
time.sleep(0.6)
print("done")
