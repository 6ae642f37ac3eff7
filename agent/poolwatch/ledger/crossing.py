"""The rare paths of the ledger: somebody else than before touches a lease. Evidence is gathered here, at once.

A sequential hand-off is normal. It becomes suspicious only when A used the lease, then B, then A again, while
neither had ended, neither descends from the other, neither waited for the other, nothing was committed between
them, and no common flow is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard

from poolwatch.errors import CrossingError
from poolwatch.ledger.explain import explain
from poolwatch.ledger.records import Event, Lease, Pool, Trail
from poolwatch.senses import driver, whereabouts
from poolwatch.senses import flow as senses_flow
from poolwatch.senses.actor import Actor, current
from poolwatch.senses.flow import Scope, Strand, Trace, current_scope, own_strand
from poolwatch.senses.route import Course, Route, contradicts, current_course, words
from poolwatch.senses.stack import Raw

if TYPE_CHECKING:
    from poolwatch.ledger.ledger import Ledger


def of_use(ledger: Ledger, lease: Lease, me: Actor) -> None:
    """Report two actors inside one connection at the same moment."""
    victim = lease.conn.inside
    if victim is None or victim.has_ended():
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
    _trail(lease).reported = True
    kinds = ("concurrent", "session") if lease.more.session else ("concurrent",)
    for kind in kinds:
        tell(ledger, Event(kind, lease.conn.pool, lease, (victim, stacks[0]), (me, stacks[1])))


def hand_over(lease: Lease, me: Actor) -> None:
    """Follow the users of a lease where nothing is under way: who had it before is done with it."""
    lease.conn.hand_offs += 1
    trail = _trail(lease)
    trail.passed_on = trail.passed_on or _is_nobody_left(lease)
    lease.user = me


def _is_nobody_left(lease: Lease) -> bool:
    return lease.owner.has_ended() and lease.user.has_ended()


def user_changed(ledger: Ledger, lease: Lease, me: Actor) -> None:
    """Follow the users of a lease; report A, B, A where nothing explains it."""
    lease.conn.hand_offs += 1
    trail = _trail(lease)
    before, strand = lease.user, own_strand(me.key)
    trail.passed_on = trail.passed_on or _is_nobody_left(lease)
    flow, trace = current_scope(), _trace()
    if flow is not None:
        flow.took = True  # somebody may ask for its name
    if _is_another_flow(flow, lease, trail):
        trail.reported = trail.flow_reported = True
        _report_flows(ledger, lease, trail, me, flow)
    unexplained = not (
        _same(trace, trail.trace)
        or _is_settled(lease)
        or _explained(before, trail.strand(), me, strand)
        or _is_nobodys(lease)
    )
    if unexplained and trail.suspicious and trail.before is me and not trail.reported:
        trail.reported = True
        _report_turns(ledger, lease, trail, me)
    trail.before, trail.suspicious = before, unexplained
    trail.strand, trail.stack = strand.ref, ledger.here(3)
    trail.flow, trail.trace = flow, trace


def _is_another_flow(flow: Scope | None, lease: Lease, trail: Trail) -> TypeGuard[Scope]:
    if flow is None or trail.flow is None or flow.root is trail.flow.root:
        return False
    if trail.flow_reported or lease.more.common:
        return False
    # what was taken outside of all flows is everybody's, where nobody's work is in it
    return lease.more.scope is not None or not (_is_settled(lease) or _is_nobodys(lease))


def _is_settled(lease: Lease) -> bool:
    return lease.conn.settled == (lease.taken, lease.statements)


def _is_nobodys(lease: Lease) -> bool:
    handle = lease()
    return handle is not None and driver.is_nobodys(driver.driver_connection(handle))


def _trail(lease: Lease) -> Trail:
    more = lease.own()
    if more.trail is None:
        more.trail = Trail(lease.strand, more.scope, lease.trace)
    return more.trail


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
    kind = "session" if lease.more.session else "interleaved"
    event = Event(kind, lease.conn.pool, lease, (me, ledger.here(4)), (lease.user, trail.stack))
    event.overlap = False
    report(ledger, event)


def _explained(before: Actor, was: Strand | None, me: Actor, here: Strand) -> bool:
    """Tell whether ``before`` is over, parent or child of ``me``, of the same scope, or waiting for somebody."""
    if before.kind == "task" and before.thread is not me.thread:
        return True  # it is suspended, for all that can be seen waiting for us
    if was is None or before.has_ended() or before.key == me.above or me.key == before.above:
        return True
    if before.key in here.keys or me.key in was.keys:
        return True
    if was.scope is not None and here.scope is not None and was.scope.root is here.scope.root:
        return True
    return whereabouts.waits_for_others(before)


def of_session(ledger: Ledger, pool: Pool, lease: Lease | None, victim: Actor, me: Actor, session: str) -> None:
    """Report two actors inside one ORM Session at the same moment."""
    stacks = whereabouts.stack_of(victim, ledger.stack_depth), ledger.here(4)
    event = Event("session", pool, lease, (victim, stacks[0]), (me, stacks[1]))
    event.detail = f"one {session} in two hands"
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
    conn.reported = lease.site.hot = True
    event = Event("process", conn.pool, lease, (lease.owner, lease.stack), (me, where))
    event.detail = f"opened in process {conn.foreign}, used in process {os.getpid()}"
    return event


def of_loop(ledger: Ledger, lease: Lease) -> None:
    """Report a connection opened on one event loop and lent on another."""
    conn = lease.conn
    here = lease.owner.loop
    if conn.loop is None or (conn.reported and not is_strict(ledger, conn.pool)):
        return
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
    """Tell whether crossings on ``pool`` raise."""
    return ledger.strict or (pool.marks is not None and pool.marks.strict)


def note(ledger: Ledger, event: Event) -> None:
    """Queue a crossing for the watcher."""
    ledger.events.append(event)
    if event.lease is not None:
        event.lease.site.hot = True


def report(ledger: Ledger, event: Event) -> None:
    """Queue a crossing for the watcher; in strict mode raise it to the caller."""
    note(ledger, event)
    if is_strict(ledger, event.pool):
        raise CrossingError(explain(event))
