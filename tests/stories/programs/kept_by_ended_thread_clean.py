"""A thread closes its connection before it ends; the closed object may well stay in a module's list."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])
KEPT: list[Connection] = []


def work() -> None:
    connection = engine.connect()
    connection.execute(text("select 1")).all()
    KEPT.append(connection)
    connection.close()


thread = threading.Thread(target=work, name="importer")
thread.start()
thread.join()
time.sleep(1.6)
print("done")
