"""Long-lived workers each keep one connection in a threading.local and close it when they stop."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
local = threading.local()
together = threading.Barrier(2)


def open_one() -> None:
    local.connection = engine.connect()


def work(number: int) -> None:
    local.connection.execute(text("select 1")).all()
    time.sleep(0.02)


def close_one(number: int) -> None:
    together.wait()
    local.connection.close()


with ThreadPoolExecutor(2, initializer=open_one) as executor:
    list(executor.map(work, range(20)))
    time.sleep(1.6)
    list(executor.map(work, range(20)))
    list(executor.map(close_one, range(2)))
print("done")
