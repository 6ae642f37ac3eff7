"""A living function holds a started generator, and the generator holds the connection."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from sqlalchemy import create_engine, text

engine = create_engine(os.environ["STORY_URL"])


def rows() -> Iterator[int]:
    with engine.connect() as connection:
        yield from connection.execute(text("select 1 union all select 2 union all select 3")).scalars()


def start(box: list[Iterator[int]]) -> None:
    stream = rows()
    next(stream)
    box.append(stream)


def main() -> None:
    box: list[Iterator[int]] = []
    thread = threading.Thread(target=start, args=(box,), name="starter")
    thread.start()
    thread.join()
    time.sleep(2)
    assert len(list(box.pop())) == 2


main()
print("done")
