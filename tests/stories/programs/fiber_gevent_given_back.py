"""Greenlets of gevent are killed while they hold; poolwatch.fiber gives the connections back."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import Connection, create_engine, text  # noqa: E402
from sqlalchemy.pool import QueuePool  # noqa: E402

import poolwatch  # noqa: E402

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=2, max_overflow=0, pool_timeout=1)
KEPT: list[Connection] = []


def request() -> None:
    with poolwatch.fiber():
        connection = engine.connect()  # <- site
        KEPT.append(connection)
        connection.execute(text("select 1")).all()
        gevent.sleep(60)


requests = [gevent.spawn(request) for _ in range(2)]
gevent.sleep(0.3)
gevent.killall(requests)
with engine.connect() as connection:
    connection.execute(text("select 1"))
print("done")
