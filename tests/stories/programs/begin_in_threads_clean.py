"""engine.begin() in many short-lived threads, whose idents are used again and again."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def work() -> None:
    with engine.begin() as connection:
        connection.execute(text("select 1")).all()


for _ in range(40):
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
