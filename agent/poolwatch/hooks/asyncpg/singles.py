"""Connections without a pool: who is inside each, so that a second task there is seen."""

from __future__ import annotations

import weakref
from asyncio import _get_running_loop
from typing import Any

from poolwatch.hooks.asyncpg.leases import name_of
from poolwatch.hooks.borrowers import sqlalchemy_asks
from poolwatch.hooks.elsewhere import of_loop
from poolwatch.ledger import Event, Ledger, Pool, crossing
from poolwatch.senses import stack, whereabouts
from poolwatch.senses.actor import current
from poolwatch.senses.actors import Actor
from poolwatch.senses.stack import Raw


class Single(weakref.ref[Any]):
    """A connection that no pool lends."""

    __slots__ = ("inside", "opened", "reported", "theirs", "was")

    inside: Actor | None
    opened: Raw
    """Where it was opened, or first used where that was not seen."""
    reported: bool
    """True once its use on another loop was reported."""
    theirs: bool
    """True where SQLAlchemy opened it."""
    was: int


_singles: dict[int, Single] = {}
known = _singles.get
"""Give what is known of a connection without a pool, by its id(); None of others."""


def enter(ledger: Ledger, connection: Any) -> Single | None:
    """Mark who is inside ``connection``; None where the same task is already, or the connection is SQLAlchemy's."""
    single = _singles.get(id(connection)) or opened(ledger, connection)
    if single.theirs:
        return None
    me = current()
    inside = single.inside
    if inside is me:
        return None
    if connection._loop is not _get_running_loop() and not single.reported:
        single.reported = True
        where = ledger.here(1)
        _report(ledger, connection, "loop", (me, where), (me, where), of_loop(None))
    elif inside is not None and not inside.has_ended():
        _report(ledger, connection, "concurrent", (inside, _where(ledger, inside, single)), (me, ledger.here(1)), "")
    single.inside = me
    return single


def opened(ledger: Ledger, connection: Any) -> Single:
    """Begin to know a connection."""
    single = Single(connection, _forget)
    single.inside, single.reported, single.was = None, False, id(connection)
    single.theirs = sqlalchemy_asks()
    single.opened = () if single.theirs else ledger.here(1)
    _singles[single.was] = single
    return single


def _where(ledger: Ledger, inside: Actor, single: Single) -> Raw:
    """Give the application's line where ``inside`` is; a task made of asyncpg's own coroutine has none."""
    now = whereabouts.stack_of(inside, ledger.stack_depth)
    return single.opened if not now or stack.is_library(now[0][0].co_filename) else now


def _forget(single: Single) -> None:
    if _singles.get(single.was) is single:
        del _singles[single.was]


def _report(ledger: Ledger, connection: Any, kind: str, victim: Any, culprit: Any, detail: str) -> None:
    event = Event(kind, Pool(name_of(connection), "asyncpg", "Connection"), None, victim, culprit)
    event.detail = detail
    crossing.report(ledger, event)
