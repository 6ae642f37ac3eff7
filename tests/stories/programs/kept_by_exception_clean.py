"""The same exception is kept, but `with` gave the connection back on the way out."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])
ERRORS: list[BaseException] = []


def work() -> None:
    with engine.connect() as connection:
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
time.sleep(1.6)
print("done")
