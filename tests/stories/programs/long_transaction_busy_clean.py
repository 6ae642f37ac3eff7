"""A transaction is open for long, and a statement runs in it all the while."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

SLOW = {"postgresql": "select pg_sleep(1.6)", "mysql": "select sleep(1.6)"}
engine = create_engine(os.environ["STORY_URL"])
with engine.begin() as connection:
    connection.execute(text("select 1")).all()
    connection.execute(text(SLOW[engine.dialect.name])).all()
print("done")
