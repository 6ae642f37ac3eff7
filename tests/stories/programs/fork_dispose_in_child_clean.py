"""Recipe 2 of the documentation: dispose(close=False) in each child before anything else."""

from __future__ import annotations

import multiprocessing
import os

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"], pool_size=3)


def fresh() -> None:
    engine.dispose(close=False)


def read(number: int) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("select 1")).scalar_one())


if __name__ == "__main__":
    read(0)
    with multiprocessing.get_context("fork").Pool(2, initializer=fresh) as pool:
        pool.map(read, range(6))
        pool.close()
        pool.join()
    read(0)
    print("done")
