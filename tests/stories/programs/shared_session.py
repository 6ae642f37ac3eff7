"""One module-level Session, four threads that query it at the same moment."""

from __future__ import annotations

import os
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.orm import scoped_session, sessionmaker

SLOW = {
    "postgresql": "select pg_sleep(0.2)",
    "mysql": "select sleep(0.2)",
    "mssql": "select 1 waitfor delay '00:00:00.200'",
    "sqlite": "with recursive c(n) as (select 1 union all select n + 1 from c where n < 250000) select count(*) from c",
}
engine = create_engine(os.environ["STORY_URL"])
session = scoped_session(sessionmaker(bind=engine))()
start = threading.Barrier(4)


def report() -> None:
    start.wait()
    for _ in range(3):
        try:
            session.execute(text(SLOW[engine.dialect.name])).all()  # <- site
        except Exception:  # what a driver says of this differs; the program of the story carries on
            pass


threads = [threading.Thread(target=report, name=f"report-{n}") for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
try:
    session.close()
except Exception:
    pass
print("done")
