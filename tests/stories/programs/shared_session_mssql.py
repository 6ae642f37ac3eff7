"""One module-level Session; a thread reads its rows slowly while another sends a statement: "connection is busy"."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
session = scoped_session(sessionmaker(bind=engine))()


def report() -> None:
    for _ in range(3):
        try:
            result = session.execute(text("select n from rows(1000)"))  # <- site
            while result.fetchmany(200):
                time.sleep(0.05)
        except Exception:  # "Invalid cursor state", or "Connection is busy with results for another command"
            time.sleep(0.02)


threads = [threading.Thread(target=report, name=f"report-{n}") for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
try:
    session.close()
except Exception:
    pass
print("done")
