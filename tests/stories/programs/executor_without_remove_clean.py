"""A thread pool's workers remove their session at the end of each request, and idle on without a connection."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))


def request(number: int) -> None:
    try:
        Session.execute(text("select 1")).all()
    finally:
        Session.remove()


with ThreadPoolExecutor(3, thread_name_prefix="worker") as executor:
    list(executor.map(request, range(30)))
    time.sleep(1.6)
print("done")
