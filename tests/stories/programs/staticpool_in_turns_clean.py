"""StaticPool shares one connection by design; the threads use it one after the other."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

engine = create_engine(os.environ["STORY_URL"], poolclass=StaticPool)


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()


for number in range(6):
    thread = threading.Thread(target=work, name=f"worker-{number}")
    thread.start()
    thread.join()
work()
print("done")
