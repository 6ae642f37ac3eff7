"""Use that no statement tells of: whoever fetches rows for long holds his connection rightly."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

import poolwatch
from tests.launcher import until

COUNTING = "with recursive n(i) as (select 1 union all select i + 1 from n where i < :most) select sum(i) from n"
"""SQLite computes the answer when it is fetched."""


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that calls a lease overdue after 0.3 s."""
    watch = poolwatch.install(interval=0.05, overdue_after=0.3)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})
    yield engine
    engine.dispose()


def test_fetching_is_use(watch: poolwatch.Watch, engine: Engine) -> None:
    """A query whose rows take long is neither overdue nor idle, and its time counts as time in SQL."""
    began = time.monotonic()
    with engine.connect() as connection:
        while time.monotonic() - began < 1.2:
            connection.scalar(text(COUNTING), {"most": 3_000_000})
    held = time.monotonic() - began
    assert watch.findings() == ()
    (site,) = watch.report()["sites"]
    assert 0.5 * held < site["busy_seconds_total"] <= held + 0.1


ROWS = "with recursive n(i) as (select 1 union all select i + 1 from n limit 1000) select i from n"


def one_by_one(connection: Connection) -> Iterator[object]:
    """Fetch as rows are worked on."""
    yield from connection.execute(text(ROWS))


def all_at_once(connection: Connection) -> Iterator[object]:
    """Fetch everything, and keep the result."""
    result = connection.execute(text(ROWS))
    rows = result.all()
    yield from rows
    result.close()


def another_ones(connection: Connection) -> Iterator[object]:
    """Leave a result unread, and work with something else."""
    unread = connection.execute(text(ROWS))
    yield from range(1000)
    unread.close()


@pytest.mark.parametrize(("rows", "found"), [(one_by_one, []), (all_at_once, ["overdue"]), (another_ones, ["overdue"])])
def test_work_between_rows(
    watch: poolwatch.Watch, engine: Engine, rows: Callable[[Connection], Iterator[object]], found: list[str]
) -> None:
    """Who works for long on each row that he fetches uses his connection; on rows fetched before, he does not."""
    began = time.monotonic()
    with engine.connect() as connection:
        for _row in rows(connection):
            time.sleep(0.06)
            if time.monotonic() - began > (30 if found else 1) or watch.findings():
                break
    assert [finding.kind.removeprefix("leak.") for finding in watch.findings()] == found


def test_work_with_another_connection_is_no_use(watch: poolwatch.Watch, engine: Engine) -> None:
    """A thread that keeps one connection idle while it is busy with others does not use it."""
    over = threading.Event()

    def work() -> None:
        kept = engine.connect()
        while not over.is_set() and not kept.closed:
            with engine.connect() as connection:
                connection.scalar(text(COUNTING), {"most": 100_000})

    worker = threading.Thread(target=work)
    worker.start()
    try:
        until(lambda: [finding.kind for finding in watch.findings()] == ["leak.overdue"])
    finally:
        over.set()
        worker.join()
