"""A parent chose the replica; its child, by greenlet, has lost the route and reads from the primary."""

from __future__ import annotations

import os

from greenlet import greenlet
from sqlalchemy import create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"])
poolwatch.tag(engine, role="primary")


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


with poolwatch.connected_to(role="replica"):
    greenlet(read).switch()
greenlet(read).switch()
print("done")
