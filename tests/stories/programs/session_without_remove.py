"""The blog's cure: a session for each thread, but nobody calls remove()."""

from __future__ import annotations

import gc
import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))
barrier = threading.Barrier(4)


def report() -> None:
    Session.execute(text("select 1")).all()  # <- site
    barrier.wait()


threads = [threading.Thread(target=report, name=f"report-{n}") for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gc.collect()
print("done")
