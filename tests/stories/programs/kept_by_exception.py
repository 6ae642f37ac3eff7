"""A thread dies of an exception, and the exception, kept for later, keeps its frame and its connection."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
ERRORS: list[BaseException] = []


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    raise RuntimeError("the row is not valid")


def guarded() -> None:
    try:
        work()
    except RuntimeError as error:
        ERRORS.append(error)


thread = threading.Thread(target=guarded, name="importer")
thread.start()
thread.join()
time.sleep(2.2)
print("done")
