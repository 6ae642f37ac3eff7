"""Celery prefork: the parent reads its settings before it forks, and the worker's task uses the parent's socket."""

from __future__ import annotations

import os
import signal

from celery import Celery
from celery.exceptions import WorkerShutdown
from sqlalchemy import create_engine, text

app = Celery("shop", broker="memory://")
engine = create_engine(os.environ["STORY_URL"], pool_size=3)


def read() -> int:
    with engine.connect() as connection:  # <- site
        return connection.execute(text("select 1")).scalar_one()


@app.task(name="shop.bill")
def bill(last: bool) -> None:
    assert read() == 1
    if last:
        os.kill(os.getppid(), signal.SIGALRM)


def closing_time(*_: object) -> None:
    raise WorkerShutdown(0)  # ends the worker as SIGTERM does, but at once


def work() -> None:
    read()
    for number in range(3):
        bill.delay(number == 2)
    signal.signal(signal.SIGALRM, closing_time)
    alone = {"without_mingle": True, "without_gossip": True, "redirect_stdouts": False}
    app.Worker(pool="prefork", concurrency=1, quiet=True, loglevel="ERROR", **alone).start()


if __name__ == "__main__":
    work()
    print("done")
