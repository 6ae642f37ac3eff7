"""A connection checked out in the parent is used by the forked child."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)
connection = engine.connect()  # <- site
connection.execute(text("select 1")).all()
child = os.fork()
if child == 0:
    connection.execute(text("select 2")).all()  # <- site
    os._exit(0)
os.waitpid(child, 0)
connection.close()
print("done")
