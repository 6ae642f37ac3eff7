"""A thread of the parent works with a connection while the main thread forks: in the child that thread never was."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
held = threading.Event()


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        held.set()
        time.sleep(2)
        connection.execute(text("select 1")).all()


worker = threading.Thread(target=work, name="worker")
worker.start()
held.wait()
child = os.fork()
if child == 0:
    time.sleep(1.7)  # long enough for a watcher to wonder about the owner that is not here
    os._exit(0)
os.waitpid(child, 0)
worker.join()
print("done")
