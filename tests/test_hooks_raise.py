"""Every hook is made to raise: the application does not notice, the counter does, and the hook is taken out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

import poolwatch
from poolwatch.hooks.sqlalchemy import engines, loans, pools, sessions, statements, waits
from poolwatch.ledger import Ledger


class Surprise(Exception):
    """What a hook is made to raise; nobody but poolwatch may see it."""


def broken(*args: Any, **kwargs: Any) -> Any:
    """Raise whatever the arguments."""
    raise Surprise("broken on purpose")


def make_engine(folder: Path) -> Engine:
    """Make an engine on a file with two connections."""
    return create_engine(f"sqlite:///{folder}/shop.db", pool_size=1, max_overflow=1, pool_timeout=0.01)


def everything(folder: Path) -> list[Any]:
    """Do a bit of all that is hooked, and tell what came of it."""
    engine = make_engine(folder)
    seen: list[Any] = []
    with engine.begin() as connection:
        seen.append(connection.execute(text("select 1")).scalar())
        seen.append(connection.exec_driver_sql("create table if not exists orders (id integer)").rowcount)
        connection.execute(text("insert into orders values (:id)"), [{"id": 1}, {"id": 2}])
    with Session(engine) as session:
        seen.append(session.execute(text("select count(*) from orders")).scalar() % 2)
        session.commit()
        session.rollback()
    with engine.connect() as first, engine.connect() as second:
        with pytest.raises(PoolTimeout):
            engine.connect()
        seen.append((first.scalar(text("select 2")), second.scalar(text("select 3"))))
    taken = engine.connect()
    taken.detach()
    taken.close()
    taken = engine.connect()
    taken.invalidate()
    taken.close()
    seen.append((engine.pool.checkedin(), engine.pool.checkedout()))  # type: ignore[attr-defined]
    engine.dispose()
    return seen


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to."""
    watch = poolwatch.install(interval=60)
    yield watch
    watch.uninstall()


class Broken:
    """Stands for a part of poolwatch of which every use raises."""

    __getattr__ = __getitem__ = __setitem__ = __delitem__ = __contains__ = __call__ = broken


BREAKS: list[tuple[Any, str, str]] = [
    (loans, "_conns", "sqlalchemy.checkout"),
    (loans, "_conns", "sqlalchemy.checkin"),
    (pools, "_conns", "sqlalchemy.connect"),
    (pools, "_conns", "sqlalchemy.close"),
    (pools, "_conns", "sqlalchemy.detach"),
    (loans, "_ledger", "sqlalchemy.checkout"),
    (Ledger, "give_back", "sqlalchemy.checkin"),
    (pools, "_ledger", "sqlalchemy.close_detached"),
    (engines, "_ledger", "sqlalchemy.engine"),
    (statements, "_conns", "sqlalchemy.execute"),
    (statements, "current", "sqlalchemy.execute"),
    (sessions, "lease_of", "sqlalchemy.session"),
    (sessions, "current", "sqlalchemy.session"),
    (waits, "home_of", "sqlalchemy.wait"),
    (Ledger, "blocked", "sqlalchemy.wait"),
    (Ledger, "unblocked", "sqlalchemy.wait"),
]
"""(where, what is made to raise, a hook that must be counted as failed)"""


@pytest.mark.parametrize(
    ("owner", "name", "hook"), BREAKS, ids=[f"{owner.__name__}.{name} {hook}" for owner, name, hook in BREAKS]
)
def test_application_does_not_notice(
    owner: Any,
    name: str,
    hook: str,
    watch: poolwatch.Watch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With a part of poolwatch broken the program gives the same results; the failure is counted and logged once."""
    usual = everything(tmp_path)
    assert watch.snapshot().process.hook_errors == {}
    monkeypatch.setattr(owner, name, Broken())
    with caplog.at_level(logging.ERROR, logger="poolwatch"):
        assert everything(tmp_path) == usual
        assert everything(tmp_path) == usual
        errors = watch.snapshot().process.hook_errors
        assert errors.get(hook, 0) > 0
        watch.findings()
        watch.findings()
    logged = [record.getMessage() for record in caplog.records if record.getMessage().startswith(f"hook {hook} ")]
    assert len(logged) == 1
    assert "Surprise" in logged[0]
    assert everything(tmp_path) == usual
    after = watch.snapshot().process.hook_errors
    assert after[hook] == errors[hook], "the hook was not taken out"


def test_broken_checkin_loses_no_slot(watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkin listener that raises would lose the pool's slot for good; ours does not, however often."""
    engine = make_engine(tmp_path)
    monkeypatch.setattr(Ledger, "give_back", broken)
    for _ in range(10):
        with engine.connect() as connection:
            connection.execute(text("select 1"))
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with engine.connect(), engine.connect():
        assert engine.pool.checkedout() == 2  # type: ignore[attr-defined]
    assert watch.snapshot().process.hook_errors["sqlalchemy.checkin"] == 12
    engine.dispose()


def test_interrupt_in_a_hook_is_the_applications(
    watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KeyboardInterrupt that lands inside a hook is not swallowed, and the connection is not lost to it."""
    engine = make_engine(tmp_path)

    def interrupted() -> Any:
        raise KeyboardInterrupt

    with engine.connect() as connection:
        monkeypatch.setattr(statements, "current", interrupted)
        with pytest.raises(KeyboardInterrupt):
            connection.execute(text("select 1"))
        monkeypatch.undo()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert watch.snapshot().process.hook_errors == {}
    engine.dispose()


def test_broken_detector_does_not_stop_the_watcher(
    watch: poolwatch.Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails in a look of the watcher's thread is counted under its name, and it goes on looking."""
    watch.uninstall()
    watch = poolwatch.install(interval=0.01)
    monkeypatch.setattr("poolwatch.watcher.detect", broken)
    deadline = 200
    while watch.snapshot().process.hook_errors.get("watcher", 0) < 3 and deadline:
        deadline -= 1
        watch._watcher._alarm.wait(0.02)
    watch.uninstall()
    assert deadline
