"""Greenlets of gevent have lost the route of whoever spawned them; one spawned before has none to lose."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402
from sqlalchemy.pool import QueuePool  # noqa: E402

import poolwatch  # noqa: E402

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool)
poolwatch.tag(engine, role="primary")


def read() -> None:
    with engine.connect() as connection:  # <- site
        connection.execute(text("select 1")).all()
        gevent.sleep(0.01)


outside = gevent.spawn(read)
with poolwatch.connected_to(role="replica"):
    gevent.joinall([outside, *(gevent.spawn(read) for _ in range(3))])
print("done")
