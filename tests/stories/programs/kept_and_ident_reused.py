"""A thread leaves its connection behind, and the next one, which gets the same ident, lives on."""

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


leaver = threading.Thread(target=work, name="importer")
leaver.start()
leaver.join()
others = [threading.Thread(target=time.sleep, args=(2.4,), name=f"other-{n}") for n in range(3)]
for thread in others:
    thread.start()
for thread in others:
    thread.join()
print("done")
