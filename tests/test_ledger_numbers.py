"""Numbers are derived from what is there: they survive dispose, detach and a new watch, and never go down."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

import poolwatch
from poolwatch.model import PoolState


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to, and finds no engine of an earlier test."""
    gc.collect()
    watch = poolwatch.install(interval=60)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Give an engine with a name."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", logging_name="shop")
    yield engine
    engine.dispose()


def state(watch: poolwatch.Watch) -> PoolState:
    """Give the numbers of the engine's pool, after a look."""
    watch.findings()
    (found,) = [pool for pool in watch.snapshot().pools if pool.name == "shop"]
    return found


def test_pool_is_seen_before_its_first_use(watch: poolwatch.Watch, engine: Engine) -> None:
    """A pool is in the report as soon as its engine is made."""
    assert (state(watch).used, state(watch).idle, state(watch).checkouts_total) == (0, 0, 0)


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_totals_survive_dispose(close: bool, watch: poolwatch.Watch, engine: Engine) -> None:
    """A pool keeps its entry and its totals over dispose(), looked at before its next use or after."""
    engine.connect().close()
    engine.dispose(close=close)
    gc.collect()
    assert (state(watch).checkouts_total, state(watch).idle) == (1, 0)
    engine.connect().close()
    assert (state(watch).checkouts_total, state(watch).connects_total, state(watch).idle) == (2, 2, 1)


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_totals_do_not_go_down(watch: poolwatch.Watch, engine: Engine) -> None:
    """A detached connection that is dropped takes nothing of what was counted with it."""
    connection = engine.connect()
    connection.detach()
    assert state(watch).checkouts_total == 1
    del connection
    gc.collect()
    assert state(watch).checkouts_total == 1
    assert state(watch).checkouts_total == 1


def test_new_watch_sees_old_engines(tmp_path: Path, watch: poolwatch.Watch, engine: Engine) -> None:
    """An engine that an earlier watch knew is known to the next one, from zero."""
    engine.connect().close()
    watch.uninstall()
    again = poolwatch.install(interval=60)
    try:
        engine.connect().close()
        assert state(again).checkouts_total == 1
    finally:
        again.uninstall()


def test_endless_wait_is_a_limit_too(tmp_path: Path, watch: poolwatch.Watch) -> None:
    """A pool that waits without end (pool_timeout=None) is watched like any other."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", logging_name="shop", pool_timeout=None)
    with engine.connect():
        assert state(watch).used == 1
    assert state(watch).limits.timeout is None
    assert watch.snapshot().process.hook_errors == {}
    engine.dispose()


def test_statement_without_context(watch: poolwatch.Watch, engine: Engine) -> None:
    """A dialect's do_execute called without a context, as extensions do, is no failure of the hook."""
    raw = engine.raw_connection()
    cursor = raw.cursor()
    engine.dialect.do_execute(cursor, "select 1", ())
    assert cursor.fetchone() == (1,)
    cursor.close()
    raw.close()
    assert watch.snapshot().process.hook_errors == {}


def test_holders_are_of_the_pool_that_is_empty(tmp_path: Path, watch: poolwatch.Watch) -> None:
    """Who holds a detached connection, or one of a disposed pool, holds none that somebody could wait for."""
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db", logging_name="shop", pool_size=1, max_overflow=0, pool_timeout=0.01
    )
    detached, old = engine.connect(), None
    detached.detach()
    old = engine.connect()
    engine.dispose()
    with engine.connect(), pytest.raises(Exception, match="QueuePool limit"):
        engine.connect()
    (finding,) = watch.findings()
    assert len(finding.lease["holders"]) == 1
    detached.close()
    old.detach()  # its pool is gone and would not close it
    old.close()
    engine.dispose()


def test_statements_and_times(watch: poolwatch.Watch, engine: Engine) -> None:
    """A lease counts its statements; use time is counted once it is back."""
    with engine.connect() as connection:
        for _ in range(3):
            connection.execute(text("select name from sqlite_master"))
        (lease,) = watch.snapshot().leases
        assert (lease.statements, lease.last_statement) == (3, "select name from sqlite_master")
        assert state(watch).use_seconds.count == 0
    assert state(watch).use_seconds.count == 1
    assert 0 < state(watch).use_seconds.sum < 5
