"""The Timeout strikes inside `with`: the connection goes back, though the greenlet is still referenced."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402

engine = create_engine(os.environ["STORY_URL"])


def work() -> None:
    with engine.connect() as connection:
        connection.execute(text("select 1")).all()
        with gevent.Timeout(0.2):
            gevent.sleep(30)


worker = gevent.spawn(work)
gevent.get_hub().print_exception = lambda *arguments: None
worker.join()
gevent.sleep(1.6)
print("done")
