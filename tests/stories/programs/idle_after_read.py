"""safe-global/safe-transaction-service#297: a session has only read, and asks another service, its transaction open."""

from __future__ import annotations

import os
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])
with engine.begin() as connection:
    connection.execute(text("create table if not exists rates (n integer)"))


def ask_partner(known: int) -> int:
    time.sleep(1.5)  # their service is slow today
    return known + 1


def handle() -> int:
    with Session(engine) as session:
        known = session.execute(text("select count(*) from rates")).scalar_one()  # <- site
        return ask_partner(known)


assert handle() == 1
time.sleep(0.4)
print("done")
