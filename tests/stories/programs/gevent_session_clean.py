"""Under gevent a scoped_session is the greenlet's own, and each greenlet removes it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402
from sqlalchemy.orm import scoped_session, sessionmaker  # noqa: E402

engine = create_engine(os.environ["STORY_URL"])
Session = scoped_session(sessionmaker(bind=engine))


def request(number: int) -> None:
    try:
        for _ in range(3):
            Session.execute(text("select 1")).all()
            gevent.sleep(0.01)
    finally:
        Session.remove()


gevent.joinall([gevent.spawn(request, n) for n in range(4)])
gevent.sleep(1.4)
print("done")
