"""Recipe 1 of the documentation: NullPool, so nothing is left to inherit."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

engine = create_engine(os.environ["STORY_URL"], poolclass=NullPool)


def read() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


read()
child = os.fork()
if child == 0:
    read()
    os._exit(0)
os.waitpid(child, 0)
read()
print("done")
