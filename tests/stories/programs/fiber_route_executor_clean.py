"""A parent chose the primary; its child, by executor, inherits the route and reads from there."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text

import poolwatch

engine = create_engine(os.environ["STORY_URL"])
poolwatch.tag(engine, role="primary")


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()


with ThreadPoolExecutor(2, thread_name_prefix="child") as workers:
    with poolwatch.connected_to(role="primary"):
        for future in [workers.submit(poolwatch.inherit(read)) for _ in range(4)]:
            future.result()
    for future in [workers.submit(read) for _ in range(4)]:
        future.result()
print("done")
