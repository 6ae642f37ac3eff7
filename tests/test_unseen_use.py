"""Use that no statement tells of: whoever fetches rows for long holds his connection rightly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

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
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/shop.db", connect_args={"check_same_thread": False})


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
