"""A floor that rises: told from load, from holders of long standing and from a pool that has just begun."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import poolwatch
from poolwatch.config import Config
from poolwatch.detectors import drift
from poolwatch.model import Finding, Floor, Lease, Limits, Owner, PoolState, Process, Site, Snapshot

CONFIG = Config(floor_window=60.0, floor_steps=5)
ALICE = Owner(1, "alice", key=1, thread_id=1)
SELL, REFUND = Site("shop.py", 41, "sell"), Site("shop.py", 77, "refund")
STAIRS = tuple(Floor(at=1000.0 + 60 * step, unused=step) for step in range(1, 6))
NOW = STAIRS[-1].at
POOL = PoolState("p", "sqlalchemy", "QueuePool", 1, Limits(10, 15, 30.0), used=5, floors=STAIRS)
OLD = Lease(1, "p", "sqlalchemy", ALICE, ALICE, age_seconds=999.0, idle_seconds=330.0, site=SELL)
KEPT = tuple(replace(OLD, id=n, age_seconds=330.0 - 60 * n, idle_seconds=330.0 - 60 * n) for n in range(1, 5))


def found(pool: PoolState = POOL, leases: tuple[Lease, ...] = (OLD, *KEPT)) -> list[Finding]:
    """Give the findings of one look at the end of the last window."""
    return list(drift.rising_floor(Snapshot(NOW, Process(1, 0, (), 0.0), (pool,), leases), CONFIG))


def test_finding_names_pool_rise_and_lines() -> None:
    """The finding says how far the floor rose, when the pool will be dry, and which lines keep, the worst first."""
    (finding,) = found(leases=(OLD, replace(KEPT[0], site=REFUND), *KEPT[1:]))
    assert (finding.kind, finding.grade, finding.pool, finding.site) == ("drift.rising_floor", "suspected", "p", SELL)
    assert "more 4 times and never fewer, from 1 to 5 in 4 min: the pool of 15 will be dry in 10 min" in finding.summary
    assert "Also at: shop.py:77 refund (1)" in finding.hint
    assert [holder["age_seconds"] for holder in finding.lease["holders"]] == [270.0, 210.0, 150.0, 90.0]


@pytest.mark.parametrize("change", [{"idle_seconds": 59.0}, {"executing": True}, {"age_seconds": 999.0}])
def test_somebody_else_than_a_leak(change: dict[str, float]) -> None:
    """Leases in use, or held since before the rise, do not account for it."""
    assert found(leases=(OLD, replace(KEPT[0], **change), *KEPT[1:])) == []  # type: ignore[arg-type]


def test_too_few_steps() -> None:
    """A rise of fewer steps is none yet, and a pool without limits has no forecast."""
    assert found(replace(POOL, floors=STAIRS[1:])) == []
    (finding,) = found(replace(POOL, limits=Limits()))
    assert finding.summary.endswith("from 1 to 5 in 4 min.")


WINDOW = 0.05


@pytest.fixture
def watch() -> Iterator[poolwatch.Watch]:
    """Give a watch that looks only when it is told to, with short windows."""
    watch = poolwatch.install(interval=60, floor_window=WINDOW, floor_steps=3)
    yield watch
    watch.uninstall()


@pytest.fixture
def engine(watch: poolwatch.Watch, tmp_path: Path) -> Iterator[Engine]:
    """Give an engine that lends ten connections."""
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=QueuePool, pool_size=10, logging_name="shop")
    yield engine
    engine.dispose()


def pass_windows(watch: poolwatch.Watch, number: int, *used: Connection) -> list[str]:
    """Let so many windows pass, using some connections in each; gives the kinds of the open findings."""
    findings: tuple[Finding, ...] = ()
    for _ in range(number):
        time.sleep(WINDOW)
        for connection in used:
            connection.execute(text("select 1"))
        findings = watch.findings()
    return [finding.kind for finding in findings if finding.state == "open"]


def floors(watch: poolwatch.Watch) -> list[int]:
    """Give the steps of the engine's pool."""
    return [floor.unused for pool in watch.snapshot().pools if pool.name == "shop" for floor in pool.floors]


def test_slow_leak_and_its_cure(watch: poolwatch.Watch, engine: Engine) -> None:
    """One more connection kept every other window is found at the third step, and over when they are back."""
    kept = []
    for expected in ([], [], ["drift.rising_floor"]):
        kept.append(engine.connect())
        assert pass_windows(watch, 3) == expected
    assert floors(watch) == [1, 2, 3]
    kept.pop().close()
    assert pass_windows(watch, 1) == []
    assert floors(watch) == [1, 2]
    assert [finding.resolution for finding in watch.snapshot().findings] == ["no longer so"]
    while kept:
        kept.pop().close()
    pass_windows(watch, 1)
    assert floors(watch) == []


def test_holders_that_use_what_they_hold(watch: poolwatch.Watch, engine: Engine) -> None:
    """Consumers that come one after another, keep a connection each and work with it are above the floor."""
    held: list[Connection] = []
    for _ in range(5):
        held.append(engine.connect())
        assert pass_windows(watch, 2, *held) == []
    assert floors(watch) == []
    for connection in held:
        connection.close()


def test_many_at_once_are_one_step(watch: poolwatch.Watch, engine: Engine) -> None:
    """What is taken at the start and kept for good is one step, however much it is."""
    held = [engine.connect() for _ in range(8)]
    assert pass_windows(watch, 6) == []
    assert floors(watch) == [8]
    for connection in held:
        connection.close()
