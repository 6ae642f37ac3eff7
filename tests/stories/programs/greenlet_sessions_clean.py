"""The registry is scoped to the greenlet: each has its own Session and removes it."""

from __future__ import annotations

import os

from greenlet import getcurrent, greenlet
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine), scopefunc=getcurrent)


def request() -> None:
    parent = getcurrent().parent
    assert parent is not None
    for _ in range(3):
        Session.execute(text("select 1")).all()
        parent.switch()
    Session.remove()


requests = [greenlet(request) for _ in range(2)]
for _ in range(4):
    for one in requests:
        one.switch()
print("done")
