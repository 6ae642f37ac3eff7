"""A two-phase transaction over two engines."""

from __future__ import annotations

import os

from sqlalchemy import Column, Integer, MetaData, Table, create_engine, text
from sqlalchemy.orm import Session

first = create_engine(os.environ["STORY_URL"])
second = create_engine(os.environ["STORY_URL"])
table = Table(f"two_phase_{os.getpid()}", MetaData(), Column("n", Integer))
table.metadata.create_all(first)
with Session(twophase=True) as session:
    session.execute(table.insert().values(n=1), bind_arguments={"bind": first})
    session.execute(text("select 1"), bind_arguments={"bind": second})
    session.commit()
with first.connect() as connection:
    transaction = connection.begin_twophase()
    connection.execute(table.insert().values(n=2))
    transaction.prepare()
    transaction.rollback()
table.metadata.drop_all(first)
print("done")
