"""ThreadPoolExecutor.map over sessions made by sessionmaker.begin()."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

engine = create_engine(os.environ["STORY_URL"])
make = sessionmaker(engine)


def work(number: int) -> int:
    with make.begin() as session:
        return int(session.execute(text("select 1")).scalar_one())


with ThreadPoolExecutor(6) as executor:
    assert sum(executor.map(work, range(120))) == 120
print("done")
