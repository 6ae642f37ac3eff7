"""``concurrent.futures``: a work item belongs to the flow of whoever submitted it, and its strand ends with it.

Without this a worker thread would be one endless flow, and what was left in it by one work item would look alive.
"""

from __future__ import annotations

from concurrent.futures.thread import _WorkItem
from typing import Any

from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow, route
from poolwatch.senses.actor import current
from poolwatch.senses.behind import STARTED_AT, beginnings, starter

_HOOK = "executors"
_guard: Guard
_STRAND = "_poolwatch_strand"
_COURSE = "_poolwatch_course"


def install(ledger: Ledger, guard: Guard) -> None:
    """Note who submits, and begin a strand below his for as long as the work item runs."""
    global _guard
    _guard = guard
    make, work = _WorkItem.__init__, _WorkItem.run

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        _note(self)

    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        entries = _enter(self)
        try:
            work(self, *args, **kwargs)
        finally:
            del self  # as the original does: the traceback of what failed would keep the work item
            if entries is not None:
                _leave(*entries)

    beginnings.add(run.__code__)
    patch(guard, _HOOK, _WorkItem, "__init__", __init__)
    patch(guard, _HOOK, _WorkItem, "run", run)


def _note(item: Any) -> None:
    try:
        vars(item)[_STRAND] = flow.own_strand(current().key)
        vars(item)[_COURSE] = route.to_give()
        vars(item)[STARTED_AT] = starter()
    except Exception as error:
        _guard.failed(_HOOK, error)


def _enter(item: Any) -> tuple[flow.Entry, route.Entry] | None:
    try:
        strand, course = vars(item).pop(_STRAND, None), vars(item).pop(_COURSE, None)
        if strand is None:
            return None
        return flow.inherit(strand.keys, strand.scope), route.take(course)  # None too: the worker's own is nobody's
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def _leave(entry: flow.Entry, course: route.Entry) -> None:
    try:
        flow.leave(entry)
        route.leave(course)
    except Exception as error:
        _guard.failed(_HOOK, error)
