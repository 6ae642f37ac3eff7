"""A connection is committed before the long wait: held, but no transaction is open."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text("create table if not exists commits (n integer)"))
    connection.commit()
    connection.execute(text("insert into commits values (1)"))
    connection.commit()
    time.sleep(1.5)
print("done")
