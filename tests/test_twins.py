"""Pools that were made under one name: a fault of one line is one finding, and every number keeps its own pool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine

import poolwatch
from poolwatch.alert.alert import Alert, Origin
from poolwatch.alert.alertmanager import posted
from poolwatch.book import Findings
from poolwatch.collecting import ended
from poolwatch.model import PoolState, plain
from poolwatch.report import merge
from tests.reports import SITE, finding, lease, report

TWIN: dict[str, Any] = {"pool": "db#2", "twin_of": "db"}


def leak(engine: Engine) -> Connection:
    """Take a connection and hand it on, from one line for all engines."""
    return engine.connect()


def drop_two(*engines: Engine) -> None:
    """Take from each at once, and drop the connections."""
    held = [leak(engine) for engine in engines]
    held.clear()


def dispose(engines: list[Engine]) -> None:
    """Close what lies in the pools."""
    for engine in engines:
        engine.dispose()


def labels(watch: poolwatch.Watch) -> list[tuple[str, int]]:
    """Give pool and count of each leak that was found."""
    return sorted((one.pool, one.count) for one in watch.findings() if one.kind == "leak.collected")


def test_engines_made_per_call_are_one_fault(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """Engines to one database that overlap leak at one line: one finding, while the totals tell the pools apart."""
    engines = [create_engine(f"sqlite:///{tmp_path}/shop.db") for _ in range(2)]
    drop_two(*engines)
    name = f"sqlite/{tmp_path}/shop.db"
    ((pool, count),) = labels(watch)
    assert (pool.removesuffix("#2"), count) == (name, 2)
    assert {(one.pool, one.count) for one in watch.snapshot().findings_total} == {(name, 1), (f"{name}#2", 1)}
    twins = {one.name: one.twin_of for one in watch.snapshot().pools if one.name.startswith(name)}
    assert twins == {name: None, f"{name}#2": name}
    dispose(engines)


def test_names_that_look_like_twins_are_none(watch: poolwatch.Watch, tmp_path: Path) -> None:
    """Pools that the application itself has numbered are different pools, also at one line."""
    names = ["shard#1", "shard#2"]
    engines = [create_engine(f"sqlite:///{tmp_path}/{name}.db", pool_logging_name=name) for name in names]
    drop_two(*engines)
    assert labels(watch) == [("shard#1", 1), ("shard#2", 1)]
    dispose(engines)


def test_what_is_the_pools_own_fault_stays_its_own() -> None:
    """An exhausted pool says nothing of its twin, nor does a leak of which no line is known."""
    for kind, site in (("starvation.exhausted", SITE), ("leak.collected", None)):
        first = replace(finding(kind=kind, site=site), pool="db")
        book = Findings(max_findings=10, resolve_after=300.0)
        book.update(1.0, [first, replace(first, **TWIN)], {})
        assert [one.pool for one in book.all()] == ["db", "db#2"]


def test_finding_names_the_pool_it_tells_of() -> None:
    """When the lease it was about is back, text, evidence and pool are another's; its alert stays the same one."""
    first = replace(finding(kind="leak.overdue", grade="suspected"), pool="db", subjects=frozenset({1}))
    other = replace(first, summary="the other", subjects=frozenset({2}), **TWIN)
    book = Findings(max_findings=10, resolve_after=300.0)
    book.update(1.0, [first, other], {})
    (before,) = book.all()
    for now in (2.0, 3.0):
        book.update(now, [other], {1: 3.0})
    (after,) = book.all()
    assert [(one.id, one.pool, one.count) for one in (before, after)] == [(before.id, "db", 2), (before.id, "db#2", 2)]
    assert (before.summary, after.summary) == (first.summary, "the other")
    origin = Origin("shop", "host", "host:1")
    alerts = [Alert("a", "opened", 1, plain(one), 1.0, 1.0, origin) for one in (before, after)]
    assert {posted(alert, 2.0)["labels"]["pool"] for alert in alerts} == {"db"}


def test_twins_of_several_processes_are_one_fault() -> None:
    """Reports of two processes, one of which met the twin, are merged to one finding, as are the leases of the dead."""
    reports = [report(replace(finding(), pool="db")), report(replace(finding(), **TWIN))]
    assert [one["count"] for one in merge.merge(reports)["findings"]] == [2]
    pools = [
        PoolState("db", "sqlalchemy", "QueuePool", 10),
        PoolState("db#2", "sqlalchemy", "QueuePool", 10, twin_of="db"),
    ]
    dead = report(leases=(lease(pool="db"), lease(pool="db#2")), pid=2**22 + 1, ended=None)
    left = ended.died({**dead, "pools": plain(pools)})
    assert [one["count"] for one in merge.merge([left])["findings"]] == [2]
