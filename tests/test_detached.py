"""Detached connections: forgotten with their proxy they are leaks; closed or kept by somebody they are not."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import poolwatch
from poolwatch.ledger import detached
from tests.servers import Server

Keep = Callable[[Engine], Any]


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Install with a watcher that does not look by itself while a test lasts."""
    gc.collect()
    installed = poolwatch.install(interval=60)
    yield installed
    assert installed.snapshot().process.hook_errors == {}
    installed.uninstall()


@pytest.fixture(params=["sqlite", "postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, watch: poolwatch.Watch) -> Iterator[Engine]:
    """Make an engine of each kind of driver."""
    dialect, _, driver = request.param.partition("+")
    names = {"postgresql": "postgres", "mysql": "mariadb"}
    url = f"sqlite:///{tmp_path}/shop.db" if not driver else request.getfixturevalue(names[dialect]).url(driver)
    made = create_engine(url)
    yield made
    made.dispose()


def closed_first(engine: Engine) -> None:
    """Close the driver's connection, then drop the proxy."""
    proxy = engine.raw_connection()
    driver: Any = proxy.driver_connection
    proxy.detach()
    driver.close()


def closed_inside(engine: Engine) -> None:
    """Close the driver's connection within the block of the Connection."""
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        connection.detach()
        connection.execute(text("select 1"))
        connection.commit()
        driver.close()


def kept(engine: Engine) -> Any:
    """Drop the proxy and go on with the driver's connection."""
    proxy = engine.raw_connection()
    driver = proxy.driver_connection
    proxy.detach()
    return driver


def forgotten(engine: Engine) -> None:
    """Drop both at once."""
    engine.raw_connection().detach()


def forgotten_in_a_cycle(engine: Engine) -> None:
    """Leave both to the collector: a Connection and its transaction keep each other."""
    connection = engine.connect()
    connection.execute(text("select 1")).all()
    connection.detach()


def kinds(watch: poolwatch.Watch) -> list[tuple[str, str, str]]:
    """Give what is found, each with its grade and state."""
    return [(finding.kind, finding.grade, finding.state) for finding in watch.findings()]


@pytest.mark.parametrize("end", [closed_first, closed_inside])
def test_closed_through_the_driver(
    watch: poolwatch.Watch, engine: Engine, end: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    """What the driver's own connection closed is no leak."""
    with caplog.at_level(logging.CRITICAL, "sqlalchemy.pool"):  # its errors are kept with their frames
        end(engine)
    gc.collect()
    assert kinds(watch) == []
    assert watch.snapshot().leases == ()


def test_handed_on(watch: poolwatch.Watch, engine: Engine) -> None:
    """Who keeps the driver's connection has it; nothing is said, whenever he closes it."""
    driver = kept(engine)
    gc.collect()
    assert kinds(watch) == []
    assert watch.snapshot().leases == ()
    driver.close()
    del driver
    gc.collect()
    assert kinds(watch) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("forget", [forgotten, forgotten_in_a_cycle])
def test_forgotten(watch: poolwatch.Watch, engine: Engine, forget: Keep) -> None:
    """An open connection that went with its proxy is a leak, however the two were collected."""
    forget(engine)
    gc.collect()
    assert kinds(watch) == [("leak.detached", "proved", "open")]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("end", "found"), [(forgotten, 1), (forgotten_in_a_cycle, 1), (closed_first, 0), (kept, 0)])
def test_while_the_watcher_looks(watch: poolwatch.Watch, engine: Engine, end: Keep, found: int) -> None:
    """What ends while the watcher may have a connection in hand is decided on when it has none."""
    with detached.looked_at(watch._ledger):
        driver = end(engine)
        gc.collect()
    gc.collect()
    assert kinds(watch) == [("leak.detached", "proved", "open")] * found
    assert watch.snapshot().leases == ()
    if driver is not None:
        driver.close()


def test_closed_after_a_collection(watch: poolwatch.Watch, engine: Engine) -> None:
    """What was open when the collector ran, and was closed then, is no leak."""
    proxy = engine.raw_connection()
    driver: Any = proxy.driver_connection
    proxy.detach()
    gc.collect()
    driver.close()
    del driver, proxy
    assert kinds(watch) == []


def test_closed_while_the_proxy_goes_on(watch: poolwatch.Watch, engine: Engine) -> None:
    """What was closed through the driver is not held, whoever keeps its proxy."""
    proxy = engine.raw_connection()
    driver: Any = proxy.driver_connection
    proxy.detach()
    watch.findings()
    assert len(watch.snapshot().leases) == 1
    driver.close()
    assert (kinds(watch), watch.snapshot().leases) == ([], ())
    del proxy
    gc.collect()
    assert kinds(watch) == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("soft", [False, True])
def test_invalidated(watch: poolwatch.Watch, engine: Engine, soft: bool) -> None:
    """What is invalidated is let go of by SQLAlchemy, and nobody else keeps it; softly, it stays open."""
    proxy = engine.raw_connection()
    driver = proxy.driver_connection
    before = sys.getrefcount(driver)  # the record and the proxy have it
    proxy.detach()
    proxy.invalidate(soft=soft)
    if soft:
        assert len(watch.snapshot().leases) == 1
    else:
        assert (len(watch.snapshot().leases), sys.getrefcount(driver)) == (0, before - 2)
    proxy.close()
    gc.collect()
    assert (kinds(watch), watch.snapshot().leases) == ([], ())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_forgotten_by_the_young_collector(watch: poolwatch.Watch, postgres: Server) -> None:
    """A connection older than what held it is not in the same collection: it goes at the same instant."""
    engine = create_engine(postgres.url("psycopg"))
    engine.connect().close()
    gc.collect()
    forgotten_in_a_cycle(engine)
    gc.collect(0)
    assert kinds(watch) == [("leak.detached", "proved", "open")]
    engine.dispose()


class Dumb:
    """A driver's connection that has no weak references and does not say whether it is closed."""

    __slots__ = ()

    def rollback(self) -> None:
        """Do nothing."""

    close = rollback


def test_unknown_driver(watch: poolwatch.Watch) -> None:
    """Where the driver's connection says nothing of itself, nothing is claimed."""
    QueuePool(Dumb).connect().detach()  # type: ignore[arg-type]
    gc.collect()
    assert kinds(watch) == []
    assert watch.snapshot().leases == ()


def test_uninstall_leaves_no_tie(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """What hangs on a detached proxy is taken away again."""
    proxy = create_engine(f"sqlite:///{tmp_path}/shop.db").raw_connection()
    proxy.detach()
    assert "_poolwatch" in vars(proxy)
    watch.uninstall()
    assert "_poolwatch" not in vars(proxy)
    proxy.close()
