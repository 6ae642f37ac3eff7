"""What is kept of one connected transport, beside what is kept of any connection."""

from __future__ import annotations

import weakref
from time import monotonic
from typing import Any

from poolwatch.ledger import Conn, Event, Ledger, Pool
from poolwatch.ledger.records import serial
from poolwatch.senses.actors import Actor, Loop
from poolwatch.senses.flow import Strand
from poolwatch.senses.stack import Raw

_OPEN = ("session", "client", "_connected", "_connecting", "websocket")
"""Attributes by which gql's transports know that they are connected."""


class Use:
    """One execute, while it runs."""

    __slots__ = ("actor", "closer", "strand")

    def __init__(self, actor: Actor, strand: Strand) -> None:
        self.actor = actor
        self.strand = strand
        self.closer: tuple[Actor, Raw] | None = None
        """Who closes the transport meanwhile and waits for this, and where."""


class Line(Conn):
    """One transport from connect to close."""

    __slots__ = (
        "__weakref__", "asynchronous", "calls", "intruder", "meeting", "opening", "ref", "session", "streams", "uses",
    )  # fmt: skip

    ref: weakref.ref[Any]

    def __init__(self, pool: Pool, home: int, loop: Loop | None, asynchronous: bool) -> None:
        super().__init__(pool, home, loop)
        self.asynchronous = asynchronous
        self.opening = True
        self.session: weakref.ref[Any] | None = None
        """The reconnecting session it belongs to."""
        self.uses: dict[int, Use] = {}
        """Who executes now, by serial of the use."""
        self.calls: dict[object, tuple[str, int]] = {}
        """The methods that run now: the name of each, and how far up the transport's classes it was found."""
        self.streams: dict[int, tuple[weakref.ref[Any], Actor]] = {}
        """Subscriptions that live, by serial, and who began them."""
        self.intruder: Actor | None = None
        """Who tried to connect it again, and the crossing reported for that."""
        self.meeting: Event | None = None

    def watch(self, transport: Any, ledger: Ledger) -> None:
        """Leave the ledger when the transport is collected; its lease knows by itself that it was."""
        line, key = weakref.ref(self), id(transport)

        def gone(_: object) -> None:
            mine = line()
            if mine is not None and ledger.conns.get(key) is mine:
                del ledger.conns[key]
                ledger.retired.append(mine)

        self.ref = weakref.ref(transport, gone)

    def follow(self, stream: Any, me: Actor) -> None:
        """Count ``stream`` as use until it is collected; raises TypeError where that cannot be seen."""
        line, key = weakref.ref(self), serial()

        def gone(_: object) -> None:
            mine = line()
            if mine is not None:
                mine.streams.pop(key, None)
                mine.settle()
                if mine.lease is not None:
                    mine.lease.used = monotonic()

        self.streams[key] = (weakref.ref(stream, gone), me)
        self.settle()

    def settle(self) -> None:
        """Name somebody who is inside, if anybody is; runs in finalizers."""
        use = next(iter(list(self.uses.values())), None)
        stream = next(iter(list(self.streams.values())), None)
        self.inside = use.actor if use else stream[1] if stream else None

    def hands_on(self, name: str, level: int) -> bool:
        """Tell whether a class below runs that method now: it calls its base's, in whatever thread or task."""
        return any(outer == name and below < level for outer, below in list(self.calls.values()))

    def others(self, me: Actor) -> list[Use]:
        """Give who executes now beside ``me`` and lives."""
        return [use for use in list(self.uses.values()) if use.actor is not me and not use.actor.has_ended()]


def is_open(transport: Any) -> bool:
    """Tell whether a transport counts itself as connected; one of the application's own may not say."""
    return any(getattr(transport, name, None) for name in _OPEN)


def lets_finish(transport: Any) -> bool:
    """Tell whether who executes keeps the connection when the transport is closed, for some time at least.

    A websocket's close waits for the answers; a connector of the application's own is not closed.
    """
    options = getattr(transport, "client_session_args", None) or {}
    return hasattr(transport, "_clean_close") or options.get("connector_owner") is False


def operation(request: Any) -> str | None:
    """Give the name of a request's first named operation; its text may hold values."""
    document = getattr(request, "document", request)
    for definition in getattr(document, "definitions", ()):
        if getattr(definition, "name", None) is not None:
            return str(definition.name.value)
    return None
