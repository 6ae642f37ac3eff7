"""A session inside another, savepoints rolled back and kept, a flush error and a fresh start."""

from __future__ import annotations

import os

from sqlalchemy import String, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = f"items_{os.getpid()}"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)


engine = create_engine(os.environ["STORY_URL"])
Base.metadata.create_all(engine)
with Session(engine) as outer:
    outer.add(Item(name="lamp"))
    outer.commit()
    outer.scalars(select(Item)).all()
    with Session(engine) as inner:
        assert inner.scalars(select(Item.name)).all() == ["lamp"]
    savepoint = outer.begin_nested()
    outer.add(Item(name="shade"))
    savepoint.rollback()
    try:
        with outer.begin_nested():
            outer.add(Item(name="lamp"))
    except IntegrityError:
        pass
    with outer.begin_nested():
        outer.add(Item(name="bulb"))
    outer.commit()
with Session(engine) as session, session.begin():
    assert len(session.scalars(select(Item)).all()) == 2
Base.metadata.drop_all(engine)
print("done")
