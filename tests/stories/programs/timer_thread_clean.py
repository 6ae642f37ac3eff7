"""A long-living loop of timers: each fires in a thread of its own, borrows, returns and ends."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["STORY_URL"])


def tick(left: int) -> None:
    with Session(engine) as session:
        session.execute(text("select 1")).all()
    if left:
        threading.Timer(0.05, tick, args=(left - 1,)).start()


threading.Timer(0.05, tick, args=(12,)).start()
time.sleep(1.2)
print("done")
