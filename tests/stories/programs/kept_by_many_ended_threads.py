"""Three threads in turn leave a connection behind at the same line: one fault, three times."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import QueuePool

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool)
KEPT: list[Connection] = []


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    KEPT.append(connection)


for number in range(3):
    thread = threading.Thread(target=work, name=f"importer-{number}")
    thread.start()
    thread.join()
time.sleep(2.2)
print("done")
