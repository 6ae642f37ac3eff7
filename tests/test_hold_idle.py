"""Connections that are held without being used: when that is a fault, and when it is the owner's right."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

import poolwatch
from poolwatch.config import Config
from poolwatch.detectors import detect
from poolwatch.model import Finding, Histogram, PoolState, Process, ScopeTotals, Site, SiteTotals, Snapshot

HELD = SiteTotals("p", Site("shop.py", 41, "stream"), 20, 40.0, 0.1)
ENOUGH = PoolState("p", "sqlalchemy", "QueuePool", 1, idle=20, connects_total=20)


def found(site: SiteTotals, pool: PoolState, scopes: tuple[ScopeTotals, ...] = ()) -> list[Finding]:
    """Give the findings of one look."""
    return detect(Snapshot(100.0, Process(1, 0, (), 0.0), (pool,), sites=(site,), scopes=scopes), Config())


def test_nobody_lacks_them() -> None:
    """As many owners as connections, each with its own, from a pool that has enough."""
    assert found(HELD, ENOUGH) == []
    assert found(HELD, replace(ENOUGH, wait_seconds=Histogram(sum=1.9, count=25))) == [], "waits for connects"
    busy = ScopeTotals("order", leases_total=20, use_seconds_total=40.0, busy_seconds_total=20.0)
    assert found(HELD, ENOUGH, (busy, replace(busy, leases_total=19, busy_seconds_total=0.0))) == []


LACKING: dict[str, tuple[PoolState, tuple[ScopeTotals, ...], str]] = {
    "waits": (replace(ENOUGH, wait_seconds=Histogram(sum=2.0, count=1)), (), "others have waited 2.0 s"),
    "timeouts": (replace(ENOUGH, timeouts_total=3), (), "timed out meanwhile: 3."),
    "one after another": (replace(ENOUGH, idle=19, connects_total=19), (), "only 19 to lend"),
    "flows": (
        ENOUGH,
        (ScopeTotals("GET /runs", leases_total=20, use_seconds_total=40.0),),
        "those that GET /runs took",
    ),
}
"""Pool, flows, and what the finding says of them."""


@pytest.mark.parametrize(("pool", "scopes", "why"), LACKING.values(), ids=LACKING.keys())
def test_others_lack_them(pool: PoolState, scopes: tuple[ScopeTotals, ...], why: str) -> None:
    """Held long and hardly used, while others want them or may come in any number."""
    (finding,) = found(HELD, pool, scopes)
    assert (finding.kind, finding.grade) == ("hold.idle", "suspected")
    assert "were held 2.0 s on average, and executed SQL for 0.2% of that time" in finding.summary
    assert why in finding.summary
    for site in (replace(HELD, checkouts_total=19), replace(HELD, use_seconds_total=19.9)):
        assert found(site, pool, scopes) == []
    assert found(replace(HELD, busy_seconds_total=2.0), pool, scopes) == [], "a twentieth of the time is use"


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Give an engine whose pool has so many connections."""
    options = {"check_same_thread": False}
    engine = create_engine(
        f"sqlite:///{tmp_path}/shop.db", pool_size=request.param, max_overflow=0, connect_args=options
    )
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("engine", "scope", "expected"),
    [
        (20, nullcontext(), []),
        (10, nullcontext(), ["hold.idle"]),
        (20, poolwatch.scope("stream"), ["hold.idle"]),
    ],
    indirect=["engine"],
    ids=["for life", "others wait", "jobs"],
)
def test_threads(
    watch: poolwatch.Watch, engine: Engine, scope: AbstractContextManager[object], expected: list[str]
) -> None:
    """Twenty threads that keep a connection each: a fault where ten must wait, or where they are jobs."""

    def work() -> None:
        with scope, engine.connect() as connection:
            for _ in range(2):
                connection.execute(text("select 1"))
                time.sleep(0.55)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [finding.kind for finding in watch.findings()] == expected
