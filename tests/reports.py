"""Reports made from the project's own values, to be read by what reads reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from poolwatch.model import (
    Finding,
    Frame,
    Histogram,
    Json,
    Lease,
    Limits,
    Owner,
    PoolState,
    Process,
    Site,
    SiteTotals,
    Snapshot,
)

SITE = Site("/srv/shop/orders.py", 42, "take")
OWNER = Owner(pid=10, thread="worker-1", alive=False, ended_for=3.0)


def finding(**changes: Any) -> Finding:
    """Give a finding; ``changes`` are its fields."""
    stack = (
        Frame("/srv/shop/orders.py", 42, "take"),
        Frame("/usr/lib/python3.11/site-packages/flask/app.py", 1, "dispatch", True),
        Frame("/srv/shop/app.py", 7, "main"),
    )
    base = Finding(
        kind="leak.collected",
        grade="proved",
        pool="shop",
        library="sqlalchemy",
        summary="a connection was dropped without being returned",
        hint="use a with block",
        site=SITE,
        owners=(OWNER,),
        stacks={"checkout": stack},
        lease={"age_seconds": 73.2, "idle_seconds": 70.0, "statements": 2, "last_statement": "select ?"},
        id="1",
        first_seen=1000.0,
        last_seen=1000.0,
        pid=10,
    )
    return replace(base, **changes)


def lease(**changes: Any) -> Lease:
    """Give a lease that is out; ``changes`` are its fields."""
    return replace(Lease(1, "shop", "sqlalchemy", OWNER, OWNER, 5.0, 4.0, SITE), **changes)


def report(*findings: Finding, leases: tuple[Lease, ...] = (), pid: int = 10, ended: float | None = 1100.0) -> Json:
    """Give the report of one process."""
    process = Process(pid, 1, ("app.py",), 900.0, ended, versions={"python": "3.11"}, hooks={"sqlalchemy": "hooked"})
    use = Histogram(((0.1, 1), (float("inf"), 2)), 3.0, 2)
    pool = PoolState(
        "shop", "sqlalchemy", "QueuePool", pid, Limits(5, 15, 30.0), used=3, checkouts_total=7, use_seconds=use
    )
    totals = (SiteTotals("shop", SITE, 7, 3.0, 1.0), SiteTotals("shop", None, 1, 0.1, 0.1))
    return Snapshot(1100.0, process, (pool,), leases, sites=totals, findings=findings).to_json()
