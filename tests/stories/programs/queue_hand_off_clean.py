"""A producer opens connections and ends; a consumer uses and closes them."""

from __future__ import annotations

import os
import queue
import threading

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
todo: queue.Queue[Connection | None] = queue.Queue()


def produce() -> None:
    for _ in range(3):
        connection = engine.connect()
        connection.execute(text("select 1")).all()
        todo.put(connection)
    todo.put(None)


def consume() -> None:
    while (connection := todo.get()) is not None:
        connection.execute(text("select 1")).all()
        connection.close()


threads = [threading.Thread(target=produce, name="producer"), threading.Thread(target=consume, name="consumer")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
