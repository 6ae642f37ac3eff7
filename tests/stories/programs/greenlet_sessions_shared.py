"""No monkey patch: greenlets of one thread get the same thread-local Session and take turns inside its transaction."""

from __future__ import annotations

import os

from greenlet import getcurrent, greenlet
from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))


def request() -> None:
    parent = getcurrent().parent
    assert parent is not None
    for _ in range(3):
        Session.execute(text("select 1")).all()  # <- site
        parent.switch()


requests = [greenlet(request) for _ in range(2)]
for _ in range(4):
    for one in requests:
        one.switch()
Session.remove()
print("done")
