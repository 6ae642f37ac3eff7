"""A spawned worker imports the program anew and has an engine, and connections, of its own."""

from __future__ import annotations

import multiprocessing
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def read(number: int) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select 1")).scalar_one())


if __name__ == "__main__":
    read(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.map(read, range(3))
        pool.close()
        pool.join()
    print("done")
