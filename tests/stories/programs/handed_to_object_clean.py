"""A connection opened by a thread that ended is kept by an object in a living function's frame."""

from __future__ import annotations

import os
import threading
import time

from sqlalchemy import Connection, create_engine, text

engine = create_engine(os.environ["STORY_URL"])


class Service:
    connection: Connection | None = None

    def open(self) -> None:
        self.connection = engine.connect()
        self.connection.execute(text("select 1")).all()


def main() -> None:
    service = Service()
    thread = threading.Thread(target=service.open, name="opener")
    thread.start()
    thread.join()
    time.sleep(2.2)
    assert service.connection is not None
    service.connection.execute(text("select 1")).all()
    service.connection.close()


main()
print("done")
