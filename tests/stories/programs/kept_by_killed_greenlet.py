"""A gevent greenlet dies of a Timeout while it holds a connection; who references it keeps its frame."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

import gevent  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402

engine = create_engine(os.environ["STORY_URL"])


def work() -> None:
    connection = engine.connect()  # <- site
    connection.execute(text("select 1")).all()
    with gevent.Timeout(0.2):
        gevent.sleep(30)
    connection.close()


worker = gevent.spawn(work)
gevent.get_hub().print_exception = lambda *arguments: None
worker.join()
gevent.sleep(2.2)
print("done")
