"""Who meets whom on a transport: the crossings, with victim and culprit. The rare path, but for three questions."""

from __future__ import annotations

import asyncio
from typing import Any

from poolwatch.errors import CrossingError
from poolwatch.hooks.gql.record import Line, Use, lets_finish
from poolwatch.host.native import get_ident
from poolwatch.ledger import Event, Lease, Ledger, crossing
from poolwatch.ledger.explain import explain
from poolwatch.senses import whereabouts
from poolwatch.senses.actor import current, current_loop
from poolwatch.senses.actors import Actor

_CLOSED = "it closed the transport, and whoever executes on it sees a lost connection"


def at_connect(ledger: Ledger, line: Line) -> None:
    """Report a connect of a transport that somebody else has connected; gql refuses it, and may close it then."""
    me, lease = current(), line.lease
    if lease is None or _inherited(ledger, line, lease, me):
        return
    victim = _victim(line, lease, me)
    if victim is not None:
        line.intruder = me
        line.meeting = _event(ledger, lease, victim, me, "it connected a transport that was connected already")
        crossing.report(ledger, line.meeting)


def at_first_connect(ledger: Ledger, line: Line, transport: Any) -> None:
    """Report a closed transport connected on a new loop while gql has bound it to the old one (websockets do that)."""
    lease = line.lease
    bound = getattr(getattr(transport, "_wait_closed", None), "_loop", None)
    if lease is not None and bound is not None and bound is not asyncio._get_running_loop():
        what = "gql has bound the transport to the loop it was closed on: it cannot be closed on this one"
        _report(ledger, line, _event(ledger, lease, lease.owner, lease.owner, what))


def at_use(ledger: Ledger, line: Line, me: Actor) -> None:
    """Report an execute on another loop than the transport's, or beside another thread's on a sync transport."""
    lease = line.lease
    if lease is None or _inherited(ledger, line, lease, me):
        return
    if line.asynchronous:
        if _elsewhere(line, lease):
            _report(ledger, line, _event(ledger, lease, _holder(lease, me), me, f"it executed {_where(line)}"))
    elif line.uses:
        others = line.others(me)
        if others:
            what = "both executed on one sync transport"
            _report(ledger, line, _event(ledger, lease, others[0].actor, me, what))


def at_close(ledger: Ledger, line: Line) -> None:
    """Report a close while others execute, on another loop, or by somebody whose own connect has failed."""
    me, lease = current(), line.lease
    if lease is None or line.foreign:  # closing what a fork inherited harms nobody
        return
    if line.intruder is me and line.meeting is not None:
        _also_closed(ledger, line.meeting)
        return
    others = [use for use in line.others(me) if me.key not in use.strand.keys and me.key != use.actor.above]
    waits = lets_finish(line.ref())
    if others and not waits:
        what = _CLOSED if line.asynchronous else "it closed a sync transport on which another thread executes"
        _report(ledger, line, _event(ledger, lease, others[0].actor, me, what))
    elif line.asynchronous and _elsewhere(line, lease):
        _report(ledger, line, _event(ledger, lease, _holder(lease, me), me, f"it closed the transport {_where(line)}"))
    elif others:
        closer = me, ledger.here(1)
        for use in others:
            use.closer = use.closer or closer


def at_loss(ledger: Ledger, line: Line, lease: Lease, use: Use) -> None:
    """Report a close that did not wait long enough for this use; the victim has gql's own error already."""
    if use.closer is not None and not line.reported:
        line.reported = True
        event = Event("transport", lease.conn.pool, lease, (use.actor, ledger.here(1)), use.closer)
        event.detail = _CLOSED
        crossing.note(ledger, event)


def _also_closed(ledger: Ledger, event: Event) -> None:
    # gql's AsyncClientSession.connect closes the shared transport when it fails
    event.detail += ", failed, and closed it: whoever used it sees a lost connection"
    if ledger.strict:
        raise CrossingError(explain(event))


def _inherited(ledger: Ledger, line: Line, lease: Lease, me: Actor) -> bool:
    if line.foreign and not line.reported:
        crossing.of_process(ledger, lease, me)
    return bool(line.foreign)


def _victim(line: Line, lease: Lease, me: Actor) -> Actor | None:
    """Choose whom a second connect hurts; None where only ``me`` or the dead are there, which is a leak."""
    others = line.others(me)
    if others:
        return others[0].actor
    living = [actor for actor in (lease.owner, lease.user) if not actor.has_ended()]
    if living:
        return next((actor for actor in living if actor is not me), None)
    return lease.owner if line.asynchronous else None  # the task is over, its session lives on


def _holder(lease: Lease, me: Actor) -> Actor:
    return lease.user if lease.user is not me else lease.owner


def _elsewhere(line: Line, lease: Lease) -> bool:
    """Tell whether this is not where an async transport was connected: its loop, else (trio) its thread."""
    if line.loop is not None:
        return current_loop() is not line.loop
    return bool(lease.owner.thread_id != get_ident())


def _where(line: Line) -> str:
    if line.loop is None:
        return "on another thread than it was connected on"
    here = current_loop()
    state = "closed" if line.loop.closed() else "still open"
    return f"on {here.name if here else 'no loop'}, connected on {line.loop.name} ({state})"


def _event(ledger: Ledger, lease: Lease, victim: Actor, me: Actor, what: str) -> Event:
    taken = (lease.stack or lease.site.sample) if victim is lease.owner else ()
    stack = taken or whereabouts.stack_of(victim, ledger.stack_depth)
    event = Event("transport", lease.conn.pool, lease, (victim, stack), (me, ledger.here(1)))
    event.detail = what
    return event


def _report(ledger: Ledger, line: Line, event: Event) -> None:
    """Report once for each connection; strict mode raises each time."""
    if not line.reported or ledger.strict:
        line.reported = True
        crossing.report(ledger, event)
