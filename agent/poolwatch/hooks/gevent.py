"""gevent: a greenlet spawned inside a named flow belongs to it; gevent itself carries no context along."""

from __future__ import annotations

from contextvars import Context
from typing import Any

from gevent.greenlet import Greenlet

from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow, greenlets, route

_HOOK = "gevent"
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """Be told of every spawn."""
    global _guard
    _guard = guard
    Greenlet.add_spawn_callback(spawned)
    guard.add(_HOOK, lambda: Greenlet.remove_spawn_callback(spawned))


def spawned(greenlet: Any) -> None:
    """Give the new greenlet a context with the spawner's strand and course in it, and nothing of the host's."""
    try:
        greenlets.meet(greenlet)
        strand, course = flow.current_strand(), route.to_give()
        named = strand is not None and strand.scope is not None
        if greenlet.gr_context is None and (named or course is not None):
            context = Context()
            if strand is not None and named:
                context.run(flow.inherit, strand.keys, strand.scope)
            context.run(route.take, course)
            greenlet.gr_context = context
    except Exception as error:
        _guard.failed(_HOOK, error)
