"""The rare paths of the ledger: somebody else than before touches a lease. Evidence is gathered here, at once.

A sequential hand-off is normal. It becomes suspicious only when A used the lease, then B, then A again, while
neither had ended, neither descends from the other, neither waited for the other, no lock was held that was the same,
the one before had left something open, and no common flow is known.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from poolwatch.errors import CrossingError
from poolwatch.ledger import turns
from poolwatch.ledger.explain import explain
from poolwatch.ledger.leases import Lease, Trail
from poolwatch.ledger.records import Event, Pool
from poolwatch.senses import flow as senses_flow
from poolwatch.senses import whereabouts
from poolwatch.senses.actor import current
from poolwatch.senses.actors import Actor
from poolwatch.senses.flow import Scope, Trace, current_scope, own_strand
from poolwatch.senses.route import Course, Route, contradicts, current_course, words
from poolwatch.senses.stack import Raw

if TYPE_CHECKING:
    from poolwatch.ledger.ledger import Ledger

_met: deque[tuple[int, int]] = deque(maxlen=100)
"""Who was reported in a Session with which lease, of late: what he does to its connection is the same crossing."""


def of_use(ledger: Ledger, lease: Lease, me: Actor) -> None:
    """Report two actors inside one connection at the same moment."""
    victim = lease.conn.inside
    if victim is None or victim is me or victim.has_ended():
        return
    lease.conn.hand_offs += 1
    _report_overlap(ledger, lease, victim, me, report)


def on_return(ledger: Ledger, lease: Lease) -> None:
    """Report a connection given back by one actor while another executes in it; never raises.

    An error at the return would lose the slot for good.
    """
    conn, me = lease.conn, current()
    if conn.pool.shared:
        return
    inside, conn.inside = conn.inside, None
    if inside is not None and inside is not me and not inside.has_ended():
        _report_overlap(ledger, lease, inside, me, note)


def _report_overlap(
    ledger: Ledger, lease: Lease, victim: Actor, me: Actor, tell: Callable[[Ledger, Event], None]
) -> None:
    stacks = whereabouts.stack_of(victim, ledger.stack_depth), ledger.here(3)
    turns.of(lease).reported = True
    told = lease.session is None or (me.key, lease.id) in _met
    kinds = ("concurrent",) if told else ("concurrent", "session")
    for kind in kinds:
        tell(ledger, Event(kind, lease.conn.pool, lease, (victim, stacks[0]), (me, stacks[1])))


def hand_over(lease: Lease, me: Actor) -> None:
    """Follow the users of a lease where nothing is under way: who had it before is done with it."""
    lease.conn.hand_offs += 1
    trail = turns.of(lease)
    trail.passed_on = trail.passed_on or turns.is_nobody_left(lease)
    trail.before, trail.suspicious = lease.user, False
    trail.strand, trail.stack, trail.locks = own_strand(me.key).ref, (), frozenset()
    trail.flow, trail.trace = current_scope(), _trace()
    lease.user = me


def user_changed(ledger: Ledger, lease: Lease, me: Actor) -> None:
    """Follow the users of a lease; report A, B, A where nothing explains it."""
    lease.conn.hand_offs += 1
    trail = turns.of(lease)
    before, strand = lease.user, own_strand(me.key)
    trail.passed_on = trail.passed_on or turns.is_nobody_left(lease)
    flow, trace = current_scope(), _trace()
    if flow is not None:
        flow.took = True  # somebody may ask for its name
    if turns.goes_on(flow, lease, trail):
        trail.reported = trail.flow_reported = True
        _report_flows(ledger, lease, trail, me, flow)
    unexplained = not (
        _same(trace, trail.trace)
        or turns.is_ended(lease)  # the cheapest first: the others look into drivers and threads
        or turns.is_explained(before, trail.strand(), me, strand)
        or turns.is_settled(lease)
    )
    if not unexplained or trail.reported:
        trail.locks = frozenset()
    elif turns.is_under_one_lock(trail):
        unexplained = False
    if unexplained and trail.suspicious and trail.before is me and not trail.reported:
        trail.reported = True
        _report_turns(ledger, lease, trail, me)
    trail.before, trail.suspicious = before, unexplained
    trail.strand, trail.stack = strand.ref, ledger.here(3)
    trail.flow, trail.trace = flow, trace


def _trace() -> Trace | None:
    return senses_flow.current_trace() if senses_flow.current_trace is not None else None


def _same(one: Trace | None, other: Trace | None) -> bool:
    return one is not None and other is not None and one.trace_id == other.trace_id


def _report_flows(ledger: Ledger, lease: Lease, trail: Trail, me: Actor, flow: Scope) -> None:
    assert trail.flow is not None
    event = Event("flow", lease.conn.pool, lease, (lease.user, trail.stack or lease.stack), (me, ledger.here(4)))
    event.scopes = trail.flow, flow
    event.overlap = False
    event.detail = f"within one lease, first in flow {trail.flow.name!r}, then in {flow.name!r}"
    report(ledger, event)


def _report_turns(ledger: Ledger, lease: Lease, trail: Trail, me: Actor) -> None:
    kind = "session" if lease.session else "interleaved"
    event = Event(kind, lease.conn.pool, lease, (me, ledger.here(4)), (lease.user, trail.stack))
    event.overlap = False
    report(ledger, event)


def of_session(ledger: Ledger, pool: Pool, lease: Lease | None, victim: Actor, me: Actor, session: str) -> None:
    """Report two actors inside one ORM Session at the same moment."""
    stacks = whereabouts.stack_of(victim, ledger.stack_depth), ledger.here(4)
    event = Event("session", pool, lease, (victim, stacks[0]), (me, stacks[1]))
    event.detail = f"one {session} in two hands"
    if lease is not None:
        _met.append((me.key, lease.id))
    report(ledger, event)


def of_process(ledger: Ledger, lease: Lease, me: Actor) -> None:
    """Report a connection opened before a fork and used after it, in the child."""
    try:
        report(ledger, _of_process(lease, me, ledger.here(3)))
    finally:
        ledger.look_now()


def inherited(ledger: Ledger, lease: Lease) -> bool:
    """Report a lease that a forked child took on its parent's connection, used or not; false where that is no news."""
    if not lease.conn.foreign or lease.conn.reported or lease.more.foreign:
        return False
    ledger.events.append(_of_process(lease, lease.owner, lease.stack))
    return True


def _of_process(lease: Lease, me: Actor, where: Raw) -> Event:
    conn = lease.conn
    conn.reported = True
    lease.site.heat()
    event = Event("process", conn.pool, lease, (lease.owner, lease.stack), (me, where))
    event.detail = f"opened in process {conn.foreign}, used in process {os.getpid()}"
    return event


def of_loop(ledger: Ledger, lease: Lease) -> None:
    """Report a connection opened on one event loop and lent on another."""
    conn = lease.conn
    here = lease.owner.loop
    if conn.loop is None or conn.foreign or (conn.reported and not is_strict(ledger, conn.pool)):
        return  # one that came over a fork is a crossing of process, whatever its loop
    conn.reported = True
    event = Event("loop", conn.pool, lease, (lease.owner, lease.stack), (lease.owner, ledger.here(4)))
    state = "closed" if conn.loop.closed() else "still open"
    event.detail = f"opened on {conn.loop.name} ({state}), lent on {here.name if here else 'no loop'}"
    report(ledger, event)


def of_route(ledger: Ledger, pool: Pool) -> None:
    """Report a checkout from a pool whose tag contradicts the route in force, or the one the starter was on."""
    marks, course = pool.marks, current_course()
    if marks is None or marks.route is None or course is None or not contradicts(course.route, marks.route):
        return
    me, here = current(), ledger.here(1)
    giver = (me, here) if course.giver is None else (course.giver, course.stack)
    event = Event("route", pool, None, (me, here), giver)
    event.overlap = False
    event.detail = _of_route(course, marks.route)
    report(ledger, event)


def _of_route(course: Course, tag: Route) -> str:
    pool = f"the pool is tagged {words(tag)}"
    if course.followed or course.giver is None:
        return f"the route in force is {words(course.route)}, {pool}"
    giver = f"{course.giver.kind} {course.giver.name}"
    return f"the route {words(course.route)} of {giver}, which started it, was not inherited; {pool}"


def is_strict(ledger: Ledger, pool: Pool) -> bool:
    """Tell whether crossings on ``pool`` raise: what it was marked with comes before the option."""
    marked = pool.marks.strict if pool.marks is not None else None
    return ledger.strict if marked is None else marked


def note(ledger: Ledger, event: Event) -> None:
    """Queue a crossing for the watcher."""
    ledger.events.append(event)
    if event.lease is not None:
        event.lease.site.heat()


def report(ledger: Ledger, event: Event) -> None:
    """Queue a crossing for the watcher; in strict mode raise it to the caller."""
    note(ledger, event)
    if is_strict(ledger, event.pool):
        raise CrossingError(explain(event))
