"""Two threads use one connection, now this one, now that one; each ends its transaction before it does other things."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def work(delay: float) -> None:
    time.sleep(delay)
    for number in range(4):
        transaction = connection.begin()
        for _ in range(2):
            connection.execute(text("select 1")).all()
        if number % 2:
            transaction.commit()
        else:
            transaction.rollback()
        time.sleep(0.2)


with engine.connect() as connection:
    threads = [threading.Thread(target=work, args=(0.1 * n,), name=f"worker-{n}") for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
