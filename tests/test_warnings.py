"""What SQLAlchemy warns of is told of the application's line, as without poolwatch: filters go by it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import poolwatch


class Base(DeclarativeBase):
    """The models of this module."""


class Order(Base):
    """A row with a number."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Line(Base):
    """Another, unrelated."""

    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Give an engine that is watched."""
    watch = poolwatch.install(interval=60)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()
    watch.uninstall()


def in_session(engine: Engine) -> None:
    """Make SQLAlchemy warn of a product of tables nobody has joined."""
    with Session(engine) as session:
        session.execute(select(Order, Line))


def on_connection(engine: Engine) -> None:
    """Do the same without a Session."""
    with engine.connect() as connection:
        connection.execute(select(Order, Line))


def in_flush(engine: Engine) -> None:
    """Delete what somebody else has deleted."""
    with Session(engine) as session:
        session.add(Order(id=1))
        session.commit()
        found = session.get(Order, 1)
        with engine.begin() as connection:
            connection.exec_driver_sql("delete from orders")
        session.delete(found)
        session.flush()


@pytest.mark.parametrize("work", [in_session, on_connection, in_flush])
def test_warning_names_the_applications_line(work: Callable[[Engine], None], engine: Engine) -> None:
    """The line is the one that called SQLAlchemy."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        work(engine)
    first = work.__code__.co_firstlineno
    assert [(one.category, one.filename) for one in seen] == [(SAWarning, __file__)]
    assert first < seen[0].lineno < first + 12
