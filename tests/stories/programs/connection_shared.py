"""Two threads send a statement over one connection at the same moment."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text

SLOW = {
    "postgresql": "select pg_sleep(0.2)",
    "mysql": "select sleep(0.2)",
    "sqlite": "with recursive c(n) as (select 1 union all select n + 1 from c where n < 250000) select count(*) from c",
}
engine = create_engine(os.environ["STORY_URL"])
connection = engine.connect()  # <- site
start = threading.Barrier(2)


def work() -> None:
    start.wait()
    for _ in range(3):
        try:
            connection.execute(text(SLOW[engine.dialect.name])).all()  # <- site
        except Exception:  # a driver may or may not notice
            pass


threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
try:
    connection.close()
except Exception:
    pass
print("done")
