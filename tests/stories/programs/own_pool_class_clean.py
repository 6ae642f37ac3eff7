"""A subclass of QueuePool with a _do_get of its own, given to the engine as poolclass."""

from __future__ import annotations

import os
import threading
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool


class CountingPool(QueuePool):
    gets = 0

    def _do_get(self) -> Any:
        self.gets += 1
        return super()._do_get()


engine = create_engine(os.environ["STORY_URL"], poolclass=CountingPool, pool_size=2, max_overflow=1, pool_timeout=5)


def work() -> None:
    for _ in range(5):
        with engine.connect() as connection:
            connection.execute(text("select 1")).all()


threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert isinstance(engine.pool, CountingPool) and engine.pool.gets >= 30
engine.dispose()
work()
print("done")
