"""A worker object's connection is opened by its builder's thread and used by its own, which lives to close it."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


class Worker(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="worker")
        self.connection = engine.connect()

    def run(self) -> None:
        time.sleep(2)
        self.connection.execute(text("select 1")).all()
        self.connection.close()


def build(workers: list[Worker]) -> None:
    workers.append(Worker())
    workers[0].start()


started: list[Worker] = []
builder = threading.Thread(target=build, args=(started,), name="builder")
builder.start()
builder.join()
started[0].join()
print("done")
