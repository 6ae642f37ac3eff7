"""A parent chose the primary; its child, by thread, inherits the route and reads from there."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"])
poolwatch.tag(engine, role="primary")


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


with poolwatch.connected_to(role="primary"):
    child = threading.Thread(target=poolwatch.inherit(read), name="child")
    child.start()
    child.join()
print("done")
