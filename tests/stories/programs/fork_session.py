"""A Session with a transaction open in the parent is used by the forked child."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"], pool_size=3)
session = Session(engine)


def read() -> None:
    session.execute(text("select 1")).all()  # <- site


read()
child = os.fork()
if child == 0:
    read()
    os._exit(0)
os.waitpid(child, 0)
session.close()
print("done")
