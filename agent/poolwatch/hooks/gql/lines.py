"""Moments in the life of a connected transport: connect, use, close. Each is a ``with`` block around gql's own method.

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
from poolwatch.guard import Guard
from poolwatch.hooks.gql import meetings
from poolwatch.hooks.gql.pools import home_of
from poolwatch.hooks.gql.record import Line, is_open, operation
from poolwatch.ledger import Lease, Ledger
from poolwatch.ledger.records import serial
from poolwatch.senses.actor import Actor, current, current_loop
from poolwatch.senses.flow import own_strand

HOOK = "gql"
_ledger: Ledger
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """Write to this ledger from now on."""
    global _ledger, _guard
    _ledger, _guard = ledger, guard


class Moment:
    """What happens around one call of a transport's method; fails alone, but for strict mode's error."""

    __slots__ = ("line", "request", "transport")

    def __init__(self, transport: Any, arguments: tuple[Any, ...]) -> None:
        self.transport = transport
        self.request = arguments[0] if arguments else None
        self.line: Line | None = None

    def __enter__(self) -> None:
        try:
            self.begin()
        except CrossingError:
            raise
        except Exception as error:
            _guard.failed(HOOK, error)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.line is not None:
                self.end(self.line, kind is not None)
        except Exception as error:
            _guard.failed(HOOK, error)

    def begin(self) -> None:
        """Record what is about to happen; sets ``line`` where something is to be done afterwards."""

    def end(self, line: Line, failed: bool) -> None:
        """Record what has happened."""


class Opening(Moment):
    """A connect. The lease begins before it, for a websocket takes its time and others may come meanwhile."""

    __slots__ = ()

    def begin(self) -> None:
        """Begin a lease, unless the transport has one."""
        line = line_of(self.transport)
        if line is not None and _of_its_session(line):
            assert line.lease is not None
            line.lease.owner = line.lease.user = current()  # this task lives as long as the session
            return
        self.line = _lend(self.transport)
        if self.line is not None:
            try:
                meetings.at_first_connect(_ledger, self.line, self.transport)
            except CrossingError:
                self.end(self.line, True)
                raise

    def end(self, line: Line, failed: bool) -> None:
        """Forget a lease that came to nothing."""
        line.opening = False
        lease = line.lease
        if lease is None:
            return
        if failed:
            lease.returned = monotonic()
            _drop(self.transport, line)
        else:
            _ledger.opened.append((line.pool, monotonic() - lease.taken))


class Closing(Moment):
    """A close, by whoever opened it or by somebody else."""

    __slots__ = ()

    def begin(self) -> None:
        """See who is still inside."""
        line = line_of(self.transport)
        if line is not None and not _of_its_session(line):
            self.line = line
            meetings.at_close(_ledger, line)

    def end(self, line: Line, failed: bool) -> None:
        """End the lease, where the transport is closed indeed."""
        if failed or not (line.opening or is_open(self.transport)):
            _end(self.transport, line)


class Using(Moment):
    """An execute."""

    __slots__ = ("lease", "serial")

    def begin(self) -> None:
        """Record who executes."""
        line = line_of(self.transport)
        if line is None or line.lease is None:
            return
        me = current()
        meetings.at_use(_ledger, line, me)
        self.lease, self.serial = line.lease, serial()
        if self.lease.user is not me:
            _pass_on(line, self.lease, me)
        if not line.uses:
            line.since = monotonic()
        line.uses[self.serial] = (me, own_strand(me.key))
        line.inside = me
        self.lease.statement = operation(self.request)
        self.line = line

    def end(self, line: Line, failed: bool) -> None:
        """Record that it is over."""
        line.uses.pop(self.serial, None)
        self.lease.used = now = monotonic()
        self.lease.statements += 1
        if not line.uses:
            self.lease.busy += now - line.since
        line.settle()


def line_of(transport: Any) -> Line | None:
    """Give the record of a connected transport."""
    line = _ledger.conns.get(id(transport))
    return line if isinstance(line, Line) and line.ref() is transport else None


def keep(session: Any) -> None:
    """Begin the lease of a reconnecting session, in the task that asks for it."""
    try:
        if session._connect_task is None:
            line = _lend(session.transport)
            if line is not None:
                line.session = weakref.ref(session)
                line.opening = False
    except CrossingError:
        raise
    except Exception as error:
        _guard.failed(HOOK, error)


def follow(transport: Any, stream: Any) -> None:
    """Count a subscription as use for as long as its generator lives."""
    try:
        line = line_of(transport)
        if line is not None and line.lease is not None:
            line.follow(stream, current())
    except TypeError:  # an object of the application's own, without weak references
        return
    except Exception as error:
        _guard.failed(HOOK, error)


def _lend(transport: Any) -> Line | None:
    """Begin a lease; None where the transport has one, which is reported."""
    line = line_of(transport)
    if line is not None and not (line.opening or line.session is not None or is_open(transport)):
        _end(transport, line)  # the server, or gql, had closed it
        line = None
    if line is None:
        mine = _line(transport)
        first = _ledger.conns.setdefault(id(transport), mine)  # whole: of two threads at once one is first
        if first is mine:
            return mine
        if mine.lease is not None:
            mine.lease.returned = monotonic()
        line = line_of(transport)
    if line is not None:
        meetings.at_connect(_ledger, line)
    return None


def _line(transport: Any) -> Line:
    stale = _ledger.conns.get(id(transport))
    if stale is not None and line_of(transport) is None:  # of a transport that is gone, at the same address
        _ledger.conns.pop(id(transport), None)
    home = home_of(transport)
    asynchronous = isinstance(transport, AsyncTransport)
    line = Line(home.pool, home.serial, current_loop() if asynchronous else None, asynchronous)
    line.watch(transport, _ledger)
    _ledger.lend(line, transport)
    return line


def _end(transport: Any, line: Line) -> None:
    lease = line.lease
    if lease is not None:
        line.inside = None
        _ledger.give_back(line, lease)
        _drop(transport, line)


def _drop(transport: Any, line: Line) -> None:
    line.lease, line.open = None, False
    if _ledger.conns.get(id(transport)) is line:
        del _ledger.conns[id(transport)]
        _ledger.retire(line)


def _pass_on(line: Line, lease: Lease, me: Actor) -> None:
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


def _of_its_session(line: Line) -> bool:
    """Tell whether the connecting task of the line's own reconnecting session runs here."""
    session = line.session() if line.session is not None else None
    task = session._connect_task if session is not None else None
    return task is not None and line.loop is current_loop() and asyncio.current_task() is task
