"""Two engines lend from one pool, and an option-engine from the same one."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

first = create_engine(os.environ["STORY_URL"])
second = create_engine(os.environ["STORY_URL"], pool=first.pool)
third = first.execution_options(logging_token="third")
with first.connect() as one, second.connect() as two, third.connect() as three:
    for connection in (one, two, three, one):
        connection.execute(text("select 1")).all()
print("done")
