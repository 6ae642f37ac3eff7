"""Raw greenlets return, are thrown an error and killed while they hold; poolwatch.fiber gives the connections back."""

from __future__ import annotations

import os

from greenlet import GreenletExit, getcurrent, greenlet
from sqlalchemy import Connection, create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"], pool_size=1, max_overflow=0, pool_timeout=0.5)
KEPT: list[Connection] = []


@poolwatch.fiber()
def load(waits: bool) -> None:
    connection = engine.connect()  # <- site
    KEPT.append(connection)
    connection.execute(text("select 1")).all()
    if waits:
        getcurrent().parent.switch()


greenlet(load).switch(False)
for error in (GreenletExit, KeyError):
    fiber = greenlet(load)
    fiber.switch(True)
    try:
        fiber.throw(error)
    except KeyError:
        pass
with engine.connect() as connection:
    connection.execute(text("select 1"))
print("done")
