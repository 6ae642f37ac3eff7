"""A gevent pool whose greenlets each borrow a connection, use it and give it back."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402
from sqlalchemy.pool import QueuePool  # noqa: E402

engine = create_engine(os.environ["STORY_URL"], poolclass=QueuePool, pool_size=3, max_overflow=0)


def request(number: int) -> int:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        gevent.sleep(0.01)
        return int(connection.execute(text("select 1")).scalar_one())


Pool(10).map(request, range(40))
gevent.sleep(1.4)
print("done")
