"""A connection is held, idle, longer than it should be, by a thread that lives."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def main() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()
        time.sleep(2)
        connection.execute(text("select 1")).all()


main()
time.sleep(0.4)
print("done")
