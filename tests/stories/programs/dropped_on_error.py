"""The query raises before close(), and the error is handled further up."""

from __future__ import annotations

import gc
import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

engine = create_engine(os.environ["STORY_URL"])


def count() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select * from no_such_table"))
    connection.close()


try:
    count()
except DBAPIError:
    pass
gc.collect()
time.sleep(0.6)
print("done")
