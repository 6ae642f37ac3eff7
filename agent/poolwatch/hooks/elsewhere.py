"""A pool used where it does not live: in a forked child, or on another event loop. Told before the library hangs."""

from __future__ import annotations

import os
from time import monotonic

from poolwatch.hooks.register import Home
from poolwatch.ledger import Event, Ledger, crossing
from poolwatch.senses.actor import current, current_loop
from poolwatch.senses.actors import Loop

_AGAIN_AFTER = 1.0
"""Seconds until a line that goes on doing so is reported once more."""


def report(ledger: Ledger, home: Home, workers: str) -> None:
    """Report the line that uses the pool here; raises CrossingError in strict mode.

    ``workers`` says what of the pool does not run in a forked child.
    """
    if home.place.foreign:
        _tell(ledger, home, "process", _of_process(home, f"used in process {os.getpid()}, where {workers}"))
    else:
        _tell(ledger, home, "loop", of_loop(home.loop))


def report_close(ledger: Ledger, home: Home) -> None:
    """Report the line that closes its parent's connections in a forked child; raises CrossingError in strict mode."""
    _tell(ledger, home, "process", _of_process(home, f"closed in process {os.getpid()}, which ends it for both"))


def _tell(ledger: Ledger, home: Home, kind: str, detail: str) -> None:
    where = ledger.here(2)
    line = (kind, *where[:1])
    if not crossing.is_strict(ledger, home.pool) and monotonic() - home.told.get(line, -_AGAIN_AFTER) < _AGAIN_AFTER:
        return
    home.told[line] = monotonic()
    me = current()
    event = Event(kind, home.pool, None, (me, where), (me, where))
    event.detail = detail
    try:
        crossing.report(ledger, event)
    finally:
        if kind == "process":
            ledger.look_now()  # a forked child may be killed without a word


def _of_process(home: Home, what: str) -> str:
    return f"opened in process {home.place.foreign}, {what}"


def of_loop(left: Loop | None) -> str:
    """Say which loop was left for which."""
    here = current_loop()
    was = f"{left.name} ({'closed' if left.closed() else 'still open'})" if left else "another loop"
    return f"opened on {was}, used on {here.name if here else 'no loop'}"
