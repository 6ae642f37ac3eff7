"""Greenlets under gevent share one module-level Session and meet inside it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

engine = create_engine(os.environ["STORY_URL"])
session = Session(engine)


def request(number: int) -> None:
    for _ in range(3):
        try:
            session.execute(text("select sleep(0.1)")).all()  # <- site
        except Exception:
            pass
        gevent.sleep(0.01)


gevent.joinall([gevent.spawn(request, n) for n in range(3)])
try:
    session.close()
except Exception:
    pass
print("done")
