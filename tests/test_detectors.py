"""Detectors as comparisons: a snapshot in, findings out; no thread, no pool, no clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolwatch.config import Config
from poolwatch.detectors import detect
from poolwatch.model import Finding, Incident, Lease, Limits, Owner, PoolState, Process, Site, Snapshot, Waiter

CONFIG = Config()
LINE = Site("shop.py", 41, "sell")
ALICE = Owner(1, "alice", key=1, thread_id=1)
BOB = Owner(1, "bob", key=2, thread_id=2)
DEAD = replace(ALICE, alive=False, ended_for=5.0)
POOL = PoolState("p", "sqlalchemy", "QueuePool", 1, Limits(2, 2, 30.0), used=2)
LEASE = Lease(7, "p", "sqlalchemy", ALICE, ALICE, age_seconds=1.0, idle_seconds=1.0, site=LINE, attached=True)
WAITER = Waiter("p", BOB, waited_seconds=1.0, id=9, site=LINE)


def found(*leases: Lease, **others: Any) -> list[Finding]:
    """Give the findings of one look at some leases."""
    return detect(Snapshot(100.0, Process(1, 0, (), 0.0), (POOL,), leases, **others), CONFIG)


def kinds(*leases: Lease, **others: Any) -> list[tuple[str, str]]:
    """Give kind and grade of the findings of one look."""
    return [(finding.kind, finding.grade) for finding in found(*leases, **others)]


GONE = replace(LEASE, owner=DEAD, user=DEAD)
SERVING = replace(GONE, held_by="other", passed_on=True, retained_by=("shop.app.db",))
"""Taken by somebody who has ended, left where others find it, and used by one of them."""
IDLE = replace(LEASE, idle_seconds=60.0, age_seconds=60.0)


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        (LEASE, []),
        (replace(LEASE, collected=True), [("leak.collected", "proved")]),
        (replace(LEASE, collected=True, detached=True), [("leak.detached", "proved")]),
        (GONE, [("leak.owner_ended", "probable")]),
        (replace(GONE, held_by="other"), [("leak.owner_ended", "probable")]),
        (replace(GONE, held_by="dead frame"), [("leak.owner_ended", "proved")]),
        (replace(GONE, held_by="living frame"), []),
        (replace(GONE, held_by="unknown"), [("leak.owner_ended", "suspected")]),
        (replace(GONE, held_by="other", passed_on=True), [("leak.owner_ended", "suspected")]),
        (replace(SERVING, passed_on=False), [("leak.owner_ended", "probable")]),
        (SERVING, []),
        (replace(SERVING, held_by="unknown"), []),
        (replace(SERVING, idle_seconds=60.0), [("leak.overdue", "suspected")]),
        (replace(IDLE, listens=True), []),
        (replace(IDLE, last_statement="LISTEN orders"), []),
        (replace(IDLE, last_statement="SELECT pg_try_advisory_lock(?) AS one"), []),
        (replace(IDLE, last_statement="select listen from orders"), [("leak.overdue", "suspected")]),
        (replace(GONE, user=BOB), []),
        (replace(GONE, owner=BOB), []),
        (replace(GONE, executing=True), []),
        (replace(GONE, detached=True), []),
        (replace(GONE, returned=True), []),
        (replace(GONE, owner=replace(DEAD, ended_for=0.5), user=replace(DEAD, ended_for=0.5)), []),
        (IDLE, [("leak.overdue", "suspected")]),
        (replace(IDLE, idle_seconds=59.9), []),
        (replace(IDLE, executing=True), []),
        (replace(IDLE, returned=True), []),
        (replace(IDLE, in_transaction=True), [("hold.idle_in_transaction", "suspected")]),
        (replace(LEASE, in_transaction=True, idle_seconds=30.0), [("hold.idle_in_transaction", "suspected")]),
        (replace(LEASE, in_transaction=True, idle_seconds=29.9), []),
        (replace(LEASE, in_transaction=True, idle_seconds=30.0, executing=True), []),
        (replace(IDLE, owner=DEAD, user=DEAD, in_transaction=True), [("leak.owner_ended", "probable")]),
        (replace(IDLE, collected=True, owner=DEAD, user=DEAD), [("leak.collected", "proved")]),
    ],
)
def test_one_lease(lease: Lease, expected: list[tuple[str, str]]) -> None:
    """One lease is the strongest finding it deserves, or none."""
    assert kinds(lease) == expected


def test_store_of_connections() -> None:
    """What a request took and left is its leak, unless it lies beside others that have served later requests."""
    leak = [("leak.scope_ended", "proved")]
    left = replace(LEASE, scope_ended_for=5.0, idle_seconds=5.0, held_by="other", retained_by=("shop.app.free[0]",))
    serving = replace(left, id=8, idle_seconds=0.5, retained_by=("shop.app.free[1]",))
    assert kinds(left) == leak
    assert kinds(left, serving) == []
    assert kinds(left, replace(serving, idle_seconds=5.0)) == 2 * leak
    assert kinds(left, replace(serving, retained_by=("shop.app.late['b']",))) == leak
    assert kinds(replace(left, retained_by=("shop.app.a",)), replace(serving, retained_by=("shop.app.a",))) == leak
    assert kinds(replace(left, scope_must_return=True), serving) == leak


def test_end_of_the_process() -> None:
    """At the last look what is out is a leak of the process; an ended owner is named instead, without grace."""
    assert kinds(LEASE, final=True) == [("leak.process_ended", "proved")]
    just = replace(DEAD, ended_for=0.0)
    assert kinds(replace(LEASE, owner=just, user=just), final=True) == [("leak.owner_ended", "probable")]
    assert kinds(replace(LEASE, returned=True), final=True) == []


HOLDERS = (replace(LEASE, id=7), replace(LEASE, id=8, owner=BOB, user=BOB, age_seconds=9.0))


def test_exhausted() -> None:
    """A timeout, or a wait beyond ``starved_after``, lists all holders, longest first; a short wait is no finding."""
    assert kinds(*HOLDERS, waiters=(WAITER,)) == []
    for waiter in (replace(WAITER, waited_seconds=5.0), replace(WAITER, timed_out=True, done=True, holders=HOLDERS)):
        (finding,) = found(*HOLDERS, waiters=(waiter,))
        assert "Held longest by thread bob (pid 1): for 9.0 s, from " in finding.summary
        assert (finding.kind, finding.grade) == ("starvation.exhausted", "proved")
        assert [holder["age_seconds"] for holder in finding.lease["holders"]] == [9.0, 1.0]
    assert kinds(*HOLDERS, waiters=(replace(WAITER, waited_seconds=9.0, done=True),)) == []


@pytest.mark.parametrize(
    ("library", "idle", "found"), [("psycopg_pool", 0, 0), ("psycopg_pool", 1, 1), ("sqlalchemy", 0, 1)]
)
def test_exhausted_of_nothing(library: str, idle: int, found: int) -> None:
    """A pool that has no connection at all is not exhausted; in a forked child SQLAlchemy's is, by its parent's."""
    pool = replace(POOL, library=library, used=0, idle=idle)
    waiter = replace(WAITER, timed_out=True, done=True)
    assert len(detect(Snapshot(100.0, Process(1, 0, (), 0.0), (pool,), waiters=(waiter,)), CONFIG)) == found


def test_exhausted_by_lost_slots() -> None:
    """What was dropped has not come back, however short it was held."""
    waiter = replace(WAITER, waited_seconds=10.0)
    lost = [replace(holder, collected=True, age_seconds=0.001) for holder in HOLDERS]
    (finding,) = [one for one in found(*lost, waiters=(waiter,)) if one.kind == "starvation.exhausted"]
    assert "All 2 are lost: dropped without being returned" in finding.summary
    (finding,) = [one for one in found(lost[0], HOLDERS[1], waiters=(waiter,)) if one.kind == "starvation.exhausted"]
    assert "Lost: 1 more" in finding.summary


def test_exhausted_by_traffic() -> None:
    """Where all that is out was lent while somebody waited, nothing is kept: the finding says so, and what to do."""
    passed_by = replace(WAITER, waited_seconds=10.0)
    (finding,) = found(HOLDERS[0], replace(HOLDERS[1], age_seconds=4.0), waiters=(passed_by,))
    assert finding.grade == "proved"
    assert "each of the 2 connections came back and went to somebody else." in finding.summary
    assert "Held longest by thread bob (pid 1): for 4.0 s, from " in finding.summary
    assert finding.hint.startswith("No leak:")
    # a lease begins when its connect is over: a holder may be younger than the wait, and yet the first
    (kept,) = found(*HOLDERS, waiters=(passed_by,))
    assert kept.hint.startswith("Look at the longest holder")
    (alone,) = found(HOLDERS[0], waiters=(replace(passed_by, timed_out=True, done=True, holders=HOLDERS[:1]),))
    assert "Meanwhile the only connection came back" in alone.summary
    assert found(waiters=(passed_by,))[0].hint.startswith("Look at the longest holder"), "who holds was not seen"


def test_self_deadlock() -> None:
    """Holders that all wait for the pool they fill are a cycle; one that does not wait breaks it."""
    both = (WAITER, replace(WAITER, id=10, owner=ALICE))
    assert kinds(*HOLDERS, waiters=both) == [("starvation.self_deadlock", "proved")]
    assert kinds(*HOLDERS, waiters=both[:1]) == []
    assert kinds(HOLDERS[0], waiters=both) == [], "the pool is not full"
    late = replace(WAITER, timed_out=True, done=True, holders=HOLDERS, waiting_owners=(1, 2))
    assert kinds(waiters=(late,)) == [("starvation.self_deadlock", "proved")]


def test_blocked_loop() -> None:
    """A blocking wait on an event loop's thread is a finding from ``blocked_loop_after`` on."""
    blocked = replace(WAITER, on_loop=True, waited_seconds=0.1)
    assert kinds(waiters=(blocked,)) == [("starvation.blocked_loop", "proved")]
    assert kinds(waiters=(replace(blocked, waited_seconds=0.09),)) == []
    assert kinds(waiters=(replace(blocked, on_loop=False),)) == []


@pytest.mark.parametrize(
    ("kind", "overlap", "grade"),
    [
        ("concurrent", True, "proved"),
        ("interleaved", False, "suspected"),
        ("session", True, "proved"),
        ("session", False, "suspected"),
        ("process", False, "suspected"),
        ("loop", False, "proved"),
    ],
)
def test_crossings(kind: Any, overlap: bool, grade: str) -> None:
    """A crossing is proved where two were inside at once, or where it cannot be right; turns are suspected."""
    incident = Incident(kind, LEASE, "p", "sqlalchemy", ALICE, BOB, at=99.0, overlap=overlap, site=LINE)
    (finding,) = found(incidents=(incident,))
    assert (finding.kind, finding.grade, finding.first_seen) == (f"crossing.{kind}", grade, 99.0)
    assert {owner.thread for owner in finding.owners} == {"alice", "bob"}
