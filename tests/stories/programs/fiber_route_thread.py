"""A parent chose the replica; its child, by thread, has lost the route and reads from the primary."""

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


with poolwatch.connected_to(role="replica"):
    child = threading.Thread(target=read, name="child")
    child.start()
    child.join()
print("done")
