"""An engine used in the parent is used again in a forked child: both speak on one socket."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


read()
child = os.fork()
if child == 0:
    read()
    os._exit(0)
os.waitpid(child, 0)
print("done")
