"""A session for each thread from the registry, removed when the thread's work is over."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))


def report() -> None:
    try:
        for _ in range(5):
            Session.execute(text("select 1")).all()
    finally:
        Session.remove()


threads = [threading.Thread(target=report, name=f"report-{n}") for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
