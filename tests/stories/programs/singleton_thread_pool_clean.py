"""SingletonThreadPool: one connection a thread, borrowed twice at once by design."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import SingletonThreadPool

engine = create_engine(os.environ["STORY_URL"], poolclass=SingletonThreadPool)


def work() -> None:
    with engine.connect() as outer:
        outer.execute(text("select 1")).all()
        with engine.connect() as inner:
            inner.execute(text("select 1")).all()
        outer.execute(text("select 1")).all()


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
work()
time.sleep(1.4)
print("done")
