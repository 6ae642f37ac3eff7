"""A ProcessPoolExecutor of forked workers inherits the parent's pool with a connection in it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)


def read(number: int) -> int:
    with engine.connect() as connection:  # <- site
        return int(connection.execute(text("select 1")).scalar_one())


if __name__ == "__main__":
    read(0)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        list(executor.map(read, range(3)))
    print("done")
