"""Recipe 3 of the documentation: dispose() right before the fork."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)


def read() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


read()
engine.dispose()
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        read()
        read()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
read()
print("done")
