"""``threading.Thread``: a thread started inside a named flow belongs to it; one started outside belongs to nobody.

Only the name goes along, not the descent: a thread that outlives its starter's call stands for itself. The route
that its starter was on goes along as well, to be followed or missed.
"""

from __future__ import annotations

import threading
from typing import Any

from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow, route
from poolwatch.senses.actor import current
from poolwatch.senses.behind import STARTED_AT, STARTED_BY, beginnings, starter

_HOOK = "threads"
_guard: Guard
_SCOPE = "_poolwatch_scope"
_COURSE = "_poolwatch_course"


def install(ledger: Ledger, guard: Guard) -> None:
    """Note the flow at ``start`` and begin it where the thread begins."""
    global _guard
    _guard = guard
    begin, boot = threading.Thread.start, threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def start(self: Any) -> None:
        _note(self)
        begin(self)

    def _bootstrap_inner(self: Any) -> None:
        _enter(self)
        boot(self)

    beginnings.add(_bootstrap_inner.__code__)
    patch(guard, _HOOK, threading.Thread, "start", start)
    patch(guard, _HOOK, threading.Thread, "_bootstrap_inner", _bootstrap_inner)


def _note(thread: Any) -> None:
    try:
        vars(thread)[STARTED_AT] = starter()
        vars(thread)[STARTED_BY] = current().key
        scope = flow.current_scope()
        if scope is not None:
            vars(thread)[_SCOPE] = scope
        course = route.to_give()
        if course is not None:
            vars(thread)[_COURSE] = course
    except Exception as error:
        _guard.failed(_HOOK, error)


def _enter(thread: Any) -> None:
    try:
        scope = vars(thread).pop(_SCOPE, None)
        if scope is not None:
            flow.begin(scope)
        course = vars(thread).pop(_COURSE, None)
        if course is not None:
            route.take(course)
    except Exception as error:
        _guard.failed(_HOOK, error)
