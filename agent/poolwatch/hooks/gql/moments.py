"""Moments in the life of a connected transport: connect, use, close; each a ``with`` block around gql's own method."""

from __future__ import annotations

from time import monotonic
from typing import Any

from gql.transport.exceptions import TransportClosed

from poolwatch.errors import CrossingError
from poolwatch.hooks.gql import lines, meetings
from poolwatch.hooks.gql.record import Line, Use, is_open, operation
from poolwatch.ledger.records import serial
from poolwatch.senses.actor import current
from poolwatch.senses.flow import own_strand


class Moment:
    """What happens around one call of a transport's method; fails alone, but for strict mode's error.

    A class of the application's own that hands the call on to its base class is one moment, whoever runs the latter.
    """

    __slots__ = ("called", "cls", "line", "name", "request", "transport")

    def __init__(self, transport: Any, arguments: tuple[Any, ...], cls: type, name: str) -> None:
        self.transport = transport
        self.request = arguments[0] if arguments else None
        self.cls, self.name = cls, name
        """Which method it is, and whose."""
        self.line: Line | None = None
        self.called: Line | None = None

    def __enter__(self) -> None:
        try:
            level = type(self.transport).__mro__.index(self.cls)
            line = lines.line_of(self.transport) if level else None
            if line is None or not line.hands_on(self.name, level):
                self.begin()
                self.called = lines.line_of(self.transport)
                if self.called is not None:
                    self.called.calls[self] = self.name, level
        except CrossingError:
            raise
        except Exception as error:
            lines.guard.failed(lines.HOOK, error)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if self.called is not None:
                self.called.calls.pop(self, None)
            if self.line is not None:
                self.end(self.line, error)
        except Exception as failure:
            lines.guard.failed(lines.HOOK, failure)

    def begin(self) -> None:
        """Record what is about to happen; sets ``line`` where something is to be done afterwards."""

    def end(self, line: Line, error: BaseException | None) -> None:
        """Record what has happened; ``error`` is what it ended with."""


class Opening(Moment):
    """A connect. The lease begins before it, for a websocket takes its time and others may come meanwhile."""

    __slots__ = ()

    def begin(self) -> None:
        """Begin a lease, unless the transport has one."""
        line = lines.line_of(self.transport)
        if line is not None and lines.of_its_session(line):
            assert line.lease is not None
            line.lease.owner = line.lease.user = current()  # this task lives as long as the session
            return
        self.line = lines.lend(self.transport)
        if self.line is not None:
            try:
                meetings.at_first_connect(lines.ledger, self.line, self.transport)
            except CrossingError as error:
                self.end(self.line, error)
                raise

    def end(self, line: Line, error: BaseException | None) -> None:
        """Forget a lease that came to nothing."""
        line.opening = False
        lease = line.lease
        if lease is None:
            return
        if error is not None:
            lease.returned = monotonic()
            lines.drop(self.transport, line)
        else:
            lines.ledger.opened.append((line.pool, monotonic() - lease.taken))


class Closing(Moment):
    """A close, by whoever opened it or by somebody else."""

    __slots__ = ()

    def begin(self) -> None:
        """See who is still inside."""
        line = lines.line_of(self.transport)
        if line is not None and not lines.of_its_session(line):
            self.line = line
            meetings.at_close(lines.ledger, line)

    def end(self, line: Line, error: BaseException | None) -> None:
        """End the lease, where the transport is closed indeed, or will be: gql 4 waits for a websocket so long only."""
        closes = getattr(self.transport, "close_task", None) is not None
        if error is not None or closes or not (line.opening or is_open(self.transport)):
            lines.end(self.transport, line)


class Using(Moment):
    """An execute."""

    __slots__ = ("lease", "serial", "use")

    def begin(self) -> None:
        """Record who executes."""
        line = lines.line_of(self.transport)
        if line is None or line.lease is None:
            return
        me = current()
        meetings.at_use(lines.ledger, line, me)
        self.lease, self.serial = line.lease, serial()
        if self.lease.user is not me:
            lines.pass_on(line, self.lease, me)
        if not line.uses:
            line.since = monotonic()
        self.use = line.uses[self.serial] = Use(me, own_strand(me.key))
        line.inside = me
        self.lease.statement = operation(self.request)
        self.line = line

    def end(self, line: Line, error: BaseException | None) -> None:
        """Record that it is over."""
        line.uses.pop(self.serial, None)
        self.lease.used = now = monotonic()
        self.lease.statements += 1
        if not line.uses:
            self.lease.busy += now - line.since
        line.settle()
        if error is not None and isinstance(error.__cause__ or error, TransportClosed):
            meetings.at_loss(lines.ledger, line, self.lease, self.use)
