"""A thread pool's workers live on, idle, each with the connection of a session that nobody removed in time."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))
together = threading.Barrier(2)


def request(number: int) -> None:
    together.wait()
    Session.execute(text("select 1")).all()  # <- site


def farewell(number: int) -> None:
    together.wait()
    Session.remove()


with ThreadPoolExecutor(2, thread_name_prefix="worker") as executor:
    list(executor.map(request, range(2)))
    time.sleep(2.2)
    list(executor.map(farewell, range(2)))
print("done")
