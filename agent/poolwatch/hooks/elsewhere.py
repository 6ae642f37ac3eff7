"""A pool used where it does not live: in a forked child, or on another event loop. Told before the library hangs."""

from __future__ import annotations

import os
from time import monotonic

from poolwatch.hooks.register import Home
from poolwatch.ledger import Event, Ledger, crossing
from poolwatch.senses.actor import Loop, current, current_loop

_AGAIN_AFTER = 1.0
"""Seconds until a line that goes on doing so is reported once more."""


def report(ledger: Ledger, home: Home, workers: str) -> None:
    """Report the line that uses the pool here; raises CrossingError in strict mode.

    ``workers`` says what of the pool does not run in a forked child.
    """
    kind = "process" if home.place.foreign else "loop"
    where = ledger.here(1)
    line = (kind, *where[:1])
    if not crossing.is_strict(ledger, home.pool) and monotonic() - home.told.get(line, -_AGAIN_AFTER) < _AGAIN_AFTER:
        return
    home.told[line] = monotonic()
    me = current()
    event = Event(kind, home.pool, None, (me, where), (me, where))
    event.detail = _of_process(home, workers) if kind == "process" else of_loop(home.loop)
    crossing.report(ledger, event)


def _of_process(home: Home, workers: str) -> str:
    return f"opened in process {home.place.foreign}, used in process {os.getpid()}, where {workers}"


def of_loop(left: Loop | None) -> str:
    """Say which loop was left for which."""
    here = current_loop()
    was = f"{left.name} ({'closed' if left.closed() else 'still open'})" if left else "another loop"
    return f"opened on {was}, used on {here.name if here else 'no loop'}"
