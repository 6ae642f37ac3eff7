"""Consumers start one after another; each holds a connection as long as it lives, and works with it."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=20)
over = threading.Event()


def consume() -> None:
    with engine.connect() as connection:
        while not over.is_set():
            connection.execute(text("select 1")).all()
            connection.rollback()
            over.wait(0.02)


consumers = []
for number in range(8):
    consumers.append(threading.Thread(target=consume, name=f"consumer-{number}"))
    consumers[-1].start()
    time.sleep(0.4)
over.set()
for consumer in consumers:
    consumer.join()
print("done")
