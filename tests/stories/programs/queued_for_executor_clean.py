"""The opener ended; its connection waits in an executor's queue for a worker that is still busy."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
executor = ThreadPoolExecutor(1)


def use(connection: Connection) -> None:
    with connection:
        connection.execute(text("select 1")).all()


def open_and_submit() -> None:
    connection = engine.connect()
    connection.execute(text("select 1")).all()
    executor.submit(use, connection)


executor.submit(time.sleep, 2.2)
opener = threading.Thread(target=open_and_submit, name="opener")
opener.start()
opener.join()
executor.shutdown()
print("done")
