"""Many rows by executemany, by insertmanyvalues and by the ORM."""

from __future__ import annotations

import os

from sqlalchemy import Column, Integer, MetaData, Table, create_engine, func, insert, select

table = Table(f"numbers_{os.getpid()}", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))
engine = create_engine(os.environ["STORY_URL"])
table.metadata.create_all(engine)
with engine.begin() as connection:
    connection.execute(insert(table), [{"n": n} for n in range(500)])
    connection.execute(insert(table).values([{"n": n} for n in range(100)]))
with engine.connect() as connection:
    assert connection.scalar(select(func.count()).select_from(table)) == 600
table.metadata.drop_all(engine)
print("done")
