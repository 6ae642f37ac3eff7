"""No remove(), and no garbage collection comes by: the ended threads' connections stay out."""

from __future__ import annotations

import gc
import os
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

gc.disable()
engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))


def report() -> None:
    Session.execute(text("select 1")).all()  # <- site


threads = [threading.Thread(target=report, name=f"report-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
time.sleep(2.2)
print("done")
