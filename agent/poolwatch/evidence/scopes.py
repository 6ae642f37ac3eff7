"""Strict mode at the end of a scope: what was taken in it, is still out, and was handed to nobody."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator
from contextvars import copy_context
from functools import partial
from inspect import CO_NEWLOCALS
from itertools import chain
from typing import Any

from poolwatch.errors import LeakError
from poolwatch.evidence import liveness, reach, roots
from poolwatch.evidence.objects import is_a
from poolwatch.evidence.ways import Node
from poolwatch.host.guard import Guard
from poolwatch.host.native import get_ident, sleep
from poolwatch.ledger import Lease, Ledger, crossing
from poolwatch.ledger.explain import taken
from poolwatch.remedies import may_give_back
from poolwatch.senses import flow, marks, stack
from poolwatch.senses.actor import current
from poolwatch.senses.flow import Scope

HOOK = "scopes"
_RUNNING = ("cr_running", "gi_running", "ag_running")
_MOMENT = 0.001
"""Seconds between two looks, both of which must find it in nobody's hands: it may be on its way into somebody's.

Who has taken it out of a queue gets it in hand meanwhile, and may give it back.
"""
_told: deque[int] = deque(maxlen=1000)
"""Ids of leases that an error was raised for, of late: a scope around it must not raise another one."""


def follow(ledger: Ledger, guard: Guard) -> None:
    """Judge every scope that ends, until the guard takes it out."""
    guard.add(HOOK, _unfollow)
    flow.scope_left = partial(_judge, ledger, guard)


def _unfollow() -> None:
    flow.scope_left = None


def _judge(ledger: Ledger, guard: Guard, scope: Scope, frame: types.FrameType) -> None:
    if not (ledger.strict or marks.is_any_strict()):
        return
    try:
        words = [taken(lease) for lease in _left(ledger, scope, frame)]
    except Exception as error:  # it goes through objects of the application's, whatever they are
        guard.failed(HOOK, error)
        return
    if words:
        raise LeakError(f"scope {scope.name!r} ended without giving back " + "; ".join(words))


def _left(ledger: Ledger, scope: Scope, frame: types.FrameType) -> list[Lease]:
    """Give what whoever runs here took in a scope, left out, and has handed to nobody."""
    mine = [lease for lease in ledger.out() if _is_due(ledger, lease, scope)]
    found = _unkept(mine, frame)
    if found:
        sleep(_MOMENT)
        found = [lease for lease in _unkept(found, frame) if lease.collected or may_give_back(lease, current())]
    _told.extend(lease.id for lease in found)
    if scope.parent is not None and len(found) < len(mine):
        scope.parent.took = True  # what was handed on out of this one is to be back at the end of that
    return found


def _unkept(leases: list[Lease], frame: types.FrameType) -> list[Lease]:
    handles = {lease.id: _handle_id(lease) for lease in leases}
    kept = _kept(set(handles.values()) - {0}, frame)
    return [lease for lease in leases if handles[lease.id] not in kept]


def _handle_id(lease: Lease) -> int:
    # for an instant this is a strong reference; the id alone goes on
    handle = lease()
    return 0 if handle is None else id(handle)


def _is_due(ledger: Ledger, lease: Lease, scope: Scope) -> bool:
    me, taken_in = current(), lease.more.scope
    if taken_in is None or not taken_in.is_in(scope) or not lease.owner.took_for(me):
        return False
    return crossing.is_strict(ledger, lease.conn.pool) and may_give_back(lease, me) and lease.id not in _told


def _kept(handles: set[int], frame: types.FrameType) -> set[int]:
    """Give those of ``handles`` that somebody may come to; all of them where that cannot be known."""
    if not handles:
        return handles
    walk = reach.Walk(handles, reach.NOT_SOMEBODY, reach.LIVING)
    elsewhere = chain.from_iterable(roots.living(get_ident()))  # what runs here is looked at on its stack
    for values in (_here(frame), elsewhere, _modules(frame)):
        if values is None:
            return handles
        walk.go(Node(value, "") for value in values if not _is_running(value))
        if not walk.whole:
            return handles
    return set(walk.found)


def _is_running(value: Any) -> bool:
    """Tell whether this is a coroutine or generator on a stack: its frame is looked at there."""
    kinds = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
    return is_a(value, kinds) and any(getattr(value, name, False) for name in _RUNNING)


def _here(frame: types.FrameType) -> list[Any] | None:
    """Give what code on this stack comes to: the block's own function by what it goes on to read, others by all."""
    found: list[Any] = list(copy_context().values())
    here: types.FrameType | None = frame
    while here is not None:
        values = liveness.still_held(here) if here.f_code.co_flags & CO_NEWLOCALS else []
        if values is None:
            return None
        found += values
        if _is_blocks(here):
            found += roots.held_on(here.f_back)
            break
        here = here.f_back
    return found


def _is_blocks(frame: types.FrameType) -> bool:
    """Tell whether a frame is of the function that has the block, and not of a library that leaves it for it."""
    file = frame.f_code.co_filename
    return file == flow.__file__ or not stack.is_library(file)


def _modules(frame: types.FrameType) -> Iterator[Any]:
    """Give the globals of modules but those that the script, whose block it is, reads nowhere any more."""
    forgotten = {f"__main__.{name}" for name in liveness.forgotten(frame)}
    return (value for name, value in roots.modules() if name not in forgotten)
