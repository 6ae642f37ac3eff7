"""A session has written something and then waits for an HTTP call, its transaction open."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])
with engine.begin() as connection:
    connection.execute(text("create table if not exists visits (n integer)"))


def main() -> None:
    with Session(engine) as session:
        session.execute(text("insert into visits values (1)"))  # <- site
        time.sleep(1.5)
        session.commit()


main()
time.sleep(0.4)
print("done")
