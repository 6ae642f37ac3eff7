"""The engine is made in the children only; the parent never connects."""

from __future__ import annotations

import os

from sqlalchemy import create_engine, text


def serve() -> None:
    engine = create_engine(os.environ["STORY_URL"])
    for _ in range(3):
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()
    engine.dispose()


children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        serve()
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print("done")
