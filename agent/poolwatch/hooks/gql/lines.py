"""Connected transports, each a line: when one begins, whose it is, and when it ends.

A reconnecting session is one lease from ``connect_async`` to ``close_async``, however often it connects in between.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from time import monotonic
from typing import Any

from gql.transport.async_transport import AsyncTransport

from poolwatch.errors import CrossingError
from poolwatch.hooks.gql import meetings
from poolwatch.hooks.gql.pools import home_of
from poolwatch.hooks.gql.record import Line, is_open
from poolwatch.host.guard import Guard
from poolwatch.ledger import Lease, Ledger
from poolwatch.senses.actor import current, current_loop
from poolwatch.senses.actors import Actor

HOOK = "gql"
ledger: Ledger
guard: Guard


def install(into: Ledger, watched_by: Guard) -> None:
    """Write to this ledger from now on."""
    global ledger, guard
    ledger, guard = into, watched_by


def line_of(transport: Any) -> Line | None:
    """Give the record of a connected transport."""
    line = ledger.conns.get(id(transport))
    return line if isinstance(line, Line) and line.ref() is transport else None


def keep(session: Any) -> None:
    """Begin the lease of a reconnecting session, in the task that asks for it."""
    try:
        if session._connect_task is None:
            line = lend(session.transport)
            if line is not None:
                line.session = weakref.ref(session)
                line.opening = False
    except CrossingError:
        raise
    except Exception as error:
        guard.failed(HOOK, error)


def follow(transport: Any, stream: Any) -> None:
    """Count a subscription as use for as long as its generator lives."""
    try:
        line = line_of(transport)
        if line is not None and line.lease is not None:
            line.follow(stream, current())
    except TypeError:  # an object of the application's own, without weak references
        return
    except Exception as error:
        guard.failed(HOOK, error)


def lend(transport: Any) -> Line | None:
    """Begin a lease; None where the transport has one, which is reported."""
    line = line_of(transport)
    if line is not None and not (line.opening or line.session is not None or is_open(transport)):
        end(transport, line)  # the server, or gql, had closed it
        line = None
    if line is None:
        mine = _line(transport)
        first = ledger.conns.setdefault(id(transport), mine)  # whole: of two threads at once one is first
        if first is mine:
            return mine
        if mine.lease is not None:
            mine.lease.returned = monotonic()
        line = line_of(transport)
    if line is not None:
        meetings.at_connect(ledger, line)
    return None


def _line(transport: Any) -> Line:
    stale = ledger.conns.get(id(transport))
    if stale is not None and line_of(transport) is None:  # of a transport that is gone, at the same address
        ledger.conns.pop(id(transport), None)
    home = home_of(transport)
    asynchronous = isinstance(transport, AsyncTransport)
    line = Line(home.pool, home.serial, current_loop() if asynchronous else None, asynchronous)
    line.watch(transport, ledger)
    ledger.lend(line, transport)
    return line


def end(transport: Any, line: Line) -> None:
    """End the lease of a transport that is closed."""
    lease = line.lease
    if lease is not None:
        line.inside = None
        ledger.give_back(line, lease)
        drop(transport, line)


def drop(transport: Any, line: Line) -> None:
    """Forget a line whose lease is over."""
    line.lease, line.open = None, False
    if ledger.conns.get(id(transport)) is line:
        del ledger.conns[id(transport)]
        ledger.retire(line)


def pass_on(line: Line, lease: Lease, me: Actor) -> None:
    """Record another user; a lease whose owner has ended gets one that lasts."""
    line.hand_offs += 1
    lease.user = me
    if lease.owner.has_ended():
        lease.owner = _keeper(line, lease.owner)


def _keeper(line: Line, opener: Actor) -> Actor:
    """Give who owns a session that outlived its opener: its loop, else the process, by its main thread's name."""
    if line.loop is not None:
        return Actor("task", opener.name, opener.thread, line.loop)
    keeper = Actor("thread", "MainThread", None)
    keeper.thread_id = threading.main_thread().ident or 0
    return keeper


def of_its_session(line: Line) -> bool:
    """Tell whether the connecting task of the line's own reconnecting session runs here."""
    session = line.session() if line.session is not None else None
    task = session._connect_task if session is not None else None
    return task is not None and line.loop is current_loop() and asyncio.current_task() is task
