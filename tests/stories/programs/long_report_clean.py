"""A report query runs longer than a connection may be held idle: long, but not a leak."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

SLOW = {"postgresql": "select pg_sleep(2.2)", "mysql": "select sleep(2.2)"}
engine = create_engine(os.environ["STORY_URL"])
with engine.connect() as connection:
    connection.execute(text(SLOW[engine.dialect.name])).all()
print("done")
