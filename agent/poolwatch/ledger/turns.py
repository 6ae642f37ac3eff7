"""Turns on one connection: who has it after whom, and whether the one before has left work of his own in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from poolwatch.ledger.leases import Lease, Trail
from poolwatch.senses import driver, locks, whereabouts
from poolwatch.senses.actors import Actor
from poolwatch.senses.flow import Scope, Strand


def of(lease: Lease) -> Trail:
    """Give what is known of the turns on a lease; begins with its owner's."""
    more = lease.own()
    if more.trail is None:
        more.trail = Trail(lease.strand, more.scope, lease.trace)
    return more.trail


def is_nobody_left(lease: Lease) -> bool:
    """Tell whether all who had the lease so far have ended."""
    return lease.owner.has_ended() and lease.user.has_ended()


def is_ended(lease: Lease) -> bool:
    """Tell whether nothing has run since the last commit, or rollback that was asked for."""
    return lease.conn.settled == (lease.taken, lease.statements)


def is_settled(lease: Lease) -> bool:
    """Tell whether the user so far is done with the connection: he has ended his turn, or the driver says so."""
    return is_ended(lease) or _driver_says(lease, driver.is_nobodys)


def is_nothing_left(lease: Lease) -> bool:
    """Tell whether the user so far has left nothing open in the connection: what the next begins is the next one's.

    A Session has more than its connection: objects, and a transaction of its own.
    """
    return is_settled(lease) or (lease.session is None and _driver_says(lease, driver.is_nothing_open))


def _driver_says(lease: Lease, what: Callable[[Any], bool]) -> bool:
    handle = lease()
    return handle is not None and what(driver.driver_connection(handle))


def goes_on(flow: Scope | None, lease: Lease, trail: Trail) -> TypeGuard[Scope]:
    """Tell whether ``flow`` goes on with what another flow has left open in the connection."""
    if flow is None or trail.flow is None or flow.root is trail.flow.root:
        return False
    return not (trail.flow_reported or lease.more.common or is_nothing_left(lease))


def is_explained(before: Actor, was: Strand | None, me: Actor, here: Strand) -> bool:
    """Tell whether ``before`` is over, parent or child of ``me``, of the same scope, or waiting for somebody."""
    if before.kind == "task" and before.thread is not me.thread:
        return True  # it is suspended, for all that can be seen waiting for us
    if was is None or before.has_ended() or before.key == me.above or me.key == before.above:
        return True
    if before.key in here.keys or me.key in was.keys:
        return True
    if _flow(was) is not None and _flow(was) is _flow(here):
        return True
    return whereabouts.waits_for_others(before)


def _flow(strand: Strand) -> Scope | None:
    """Give the whole flow that a strand belongs to, while it goes on: what outlives it has nothing in common."""
    root = strand.scope.root if strand.scope is not None else None
    return root if root is not None and not root.ended else None


def is_under_one_lock(trail: Trail) -> bool:
    """Tell whether a lock is held now that was held when the user so far began; notes those held now."""
    before, trail.locks = trail.locks, locks.held(trail.locks)
    return not before.isdisjoint(trail.locks)
