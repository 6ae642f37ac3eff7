"""The producer ended long ago, but the living consumer has the queue in its hands and will close what is in it."""

from __future__ import annotations

import os
import queue
import threading
import time

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def produce(todo: queue.Queue[Connection]) -> None:
    connection = engine.connect()
    connection.execute(text("select 1")).all()
    todo.put(connection)


def consume(todo: queue.Queue[Connection]) -> None:
    time.sleep(2.2)
    with todo.get() as connection:
        connection.execute(text("select 1")).all()


def main() -> None:
    todo: queue.Queue[Connection] = queue.Queue()
    threads = [threading.Thread(target=one, args=(todo,), name=one.__name__) for one in (produce, consume)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
print("done")
