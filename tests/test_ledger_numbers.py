"""Numbers are derived from what is there: they survive dispose, detach and a new watch, and never go down."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import TimeoutError

import poolwatch
from poolwatch.export.exposition import encode
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


def held(watch: poolwatch.Watch) -> dict[str, float]:
    """Give the leases out now by line, as a scrape shows them."""
    families = text_string_to_metric_families(encode(watch.numbers()).decode())
    found = next(family for family in families if family.name == "poolwatch_site_leases")
    return {sample.labels["site"].rpartition(" ")[2]: sample.value for sample in found.samples}


def forget(engine: Engine) -> Connection:
    """Take a connection, and give it to somebody who forgets it."""
    return engine.connect()


def test_a_line_that_never_gives_back_is_named(watch: poolwatch.Watch, engine: Engine) -> None:
    """A leak has its line with what is out, before anything of it has come back; once it is cured, with nothing."""
    with engine.connect():
        here = held(watch)
    assert list(here.values()) == [1]
    leaked = [forget(engine), forget(engine)]
    assert held(watch) == {**dict.fromkeys(here, 0), "forget": 2}
    assert sum(site.leases for site in watch.snapshot().sites) == state(watch).used
    for connection in leaked:
        connection.close()
    assert held(watch)["forget"] == 0
    with forget(engine):
        found = [site for site in watch.snapshot().sites if site.site is not None and site.site.function == "forget"]
        assert [(site.checkouts_total, site.leases) for site in found] == [(2, 1)]


def test_a_detached_connection_is_not_held(watch: poolwatch.Watch, engine: Engine) -> None:
    """Who detaches a connection has taken it out of the pool, and nobody lacks it there."""
    connection = forget(engine)
    connection.detach()
    assert held(watch).get("forget", 0) == state(watch).used == 0
    connection.close()


def test_what_holds_is_named_beyond_the_limit(tmp_path: Path) -> None:
    """Pools beyond ``max_sites`` have entries for what is out, as many more; what that has cost stays with the rest."""
    watch = poolwatch.install(interval=60, max_sites=1)
    costly, leaking, other = (create_engine(f"sqlite:///{tmp_path}/{name}", logging_name=name) for name in "abc")
    with forget(costly):
        time.sleep(0.01)
    forget(leaking).close()
    leaked = [forget(leaking), forget(leaking), forget(other)]
    try:
        entries = [
            (site.pool, site.site is not None, site.checkouts_total, site.leases) for site in watch.snapshot().sites
        ]
        assert entries == [("a", True, 1, 0), ("b", True, 0, 2), ("b", False, 1, 0), ("c", False, 0, 1)]
    finally:
        for connection in leaked:
            connection.close()
        for engine in (costly, leaking, other):
            engine.dispose()
        watch.uninstall()


def test_a_line_beyond_the_limit_holds_among_the_others(tmp_path: Path) -> None:
    """Lines beyond ``max_sites`` are not told apart, by what they hold as by what they have cost."""
    watch = poolwatch.install(interval=60, max_sites=1)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    forget(engine).close()
    try:
        with engine.connect():
            known, rest = watch.snapshot().sites
            assert (known.leases, rest.site, rest.leases) == (0, None, 1)
    finally:
        engine.dispose()
        watch.uninstall()


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


def test_pool_that_cannot_be_found(tmp_path: Path) -> None:
    """A full pool that the collector was told to leave alone is known from its next checkout on, waits and all."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0, pool_timeout=0.05)
    engine.connect().close()
    gc.freeze()
    try:
        watch = poolwatch.install(interval=60)
    finally:
        gc.unfreeze()
    with engine.connect(), pytest.raises(TimeoutError):
        engine.connect()
    seen = [pool.timeouts_total for pool in watch.snapshot().pools if pool.checkouts_total]
    watch.uninstall()
    assert seen == [1]


def test_collected_beside_an_older_handle(watch: poolwatch.Watch, engine: Engine) -> None:
    """A handle that a listener refused is cleaned up with the one that was lent after it, and returns that one."""

    def refuse(*_: object) -> None:
        raise ValueError

    engine.connect().close()
    gc.disable()
    event.listen(engine, "checkout", refuse)
    with suppress(ValueError):  # the error holds the handle in a cycle of garbage
        engine.connect()
    event.remove(engine, "checkout", refuse)
    connection = engine.connect()
    connection.execute(text("SELECT 1"))
    del connection
    gc.enable()
    gc.collect()
    assert [(found.kind, found.grade, found.count) for found in watch.findings()] == [("leak.collected", "proved", 1)]
    assert state(watch).used == 0


@pytest.mark.parametrize("warm", [True, False])
def test_two_engines_on_one_pool_are_one_pool(watch: poolwatch.Watch, engine: Engine, warm: bool) -> None:
    """An engine that is made on another's pool adds nothing; neither does what each has after ``dispose``."""
    if warm:
        engine.connect().close()
    other = create_engine(engine.url, pool=engine.pool)
    with engine.connect(), other.connect():
        assert (state(watch).used, state(watch).checkouts_total) == (2, 2 + warm)
        assert [pool.used for pool in watch.snapshot().pools if pool.used] == [2]
    other.dispose()
    with engine.connect(), other.connect():
        assert (state(watch).used, state(watch).checkouts_total) == (2, 4 + warm)
    other.dispose()
