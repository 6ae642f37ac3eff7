"""A thread leaves its connection in a module's list and ends; somebody gives it back late."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
KEPT: list[Connection] = []


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    KEPT.append(connection)


thread = threading.Thread(target=work, name="importer")
thread.start()
thread.join()
time.sleep(2.2)
KEPT.pop().close()
time.sleep(0.4)
print("done")
