"""Leases, raw: what every one has, and what few have beside."""

from __future__ import annotations

import weakref
from typing import Any

from poolwatch.ledger.records import Conn, Site, serial
from poolwatch.senses.actors import Actor
from poolwatch.senses.flow import Scope, Strand, Trace
from poolwatch.senses.locks import Locks
from poolwatch.senses.stack import Raw


class More:
    """What few leases have: made when the first of it appears."""

    __slots__ = ("collected", "common", "detached", "foreign", "remedy", "scope", "trail")

    def __init__(self) -> None:
        self.collected = 0.0
        """When its handle was collected without a return; monotonic seconds."""
        self.common = False
        """True where it belongs to something around the flows that use it."""
        self.detached = False
        self.foreign = False
        """True where it was taken before a fork, by the parent."""
        self.remedy: str | None = None
        """What of poolwatch gives it back, in its owner's stead."""
        self.scope: Scope | None = None
        self.trail: Trail | None = None


_NO_SESSION: tuple[str | None, int] = (None, 0)
NOTHING_MORE = More()
"""Stands for the More of a lease that has none; never written to."""
NOTHING_BUT_TOLD = More()
"""The same for a lease that the watcher is to be told of when it comes back."""


class Lease(weakref.ref[Any]):
    """One loan; it is itself the weak reference to the handle, whose callback marks it collected.

    Compare leases with ``is``: equality of weak references asks their referents.
    """

    __slots__ = (
        "_id", "_returned", "_session", "_stack", "_statement", "_trace", "busy", "conn", "more", "owner", "site",
        "statements", "strand", "taken", "used", "user",
    )  # fmt: skip

    # what most leases never have is written late, if at all: to write it first to all of them takes time
    _id: int
    _returned: float
    _session: tuple[str, int]
    _stack: Raw
    _statement: str | None
    _trace: Trace | None
    conn: Conn
    owner: Actor
    user: Actor
    strand: weakref.ref[Strand]
    site: Site
    taken: float
    used: float
    """When it was last used; monotonic seconds, as ``taken``."""
    busy: float
    statements: int
    more: More

    @property
    def id(self) -> int:
        """Number of the lease, given when somebody asks first."""
        try:
            return self._id
        except AttributeError:
            self._id = serial()
            return self._id

    @property
    def collected(self) -> float:
        """When its handle was collected without a return; monotonic seconds, 0 where it was not."""
        return self.more.collected

    @property
    def returned(self) -> float:
        """When it came back; monotonic seconds, 0 while it is out."""
        return getattr(self, "_returned", 0.0)

    @returned.setter
    def returned(self, at: float) -> None:
        self._returned = at

    @property
    def session(self) -> str | None:
        """Class name of the ORM Session that works on it."""
        return getattr(self, "_session", _NO_SESSION)[0]

    @property
    def session_key(self) -> int:
        """SQLAlchemy's number of that Session, by which it is found; 0 where there is none."""
        return getattr(self, "_session", _NO_SESSION)[1]

    @property
    def statement(self) -> str | None:
        """The text that was executed last."""
        return getattr(self, "_statement", None)

    @statement.setter
    def statement(self, text: str | None) -> None:
        self._statement = text

    @property
    def stack(self) -> Raw:
        """The application's frames where it was taken; empty where only its site was kept."""
        return getattr(self, "_stack", ())

    @stack.setter
    def stack(self, stack: Raw) -> None:
        self._stack = stack

    @property
    def trace(self) -> Trace | None:
        """The span that was current where it was taken; of a lease of a sampled trace the watcher is told."""
        return getattr(self, "_trace", None)

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._trace = trace

    def carrier(self) -> Any:
        """Give what has the driver's connection, the library's record or the handle; None where it is back or closed.

        Whoever has a handle, even for an instant, may be the last who has it and run its finalizer; not so a record.
        """
        conn = self.conn
        if self.returned or self.collected or not conn.open:
            return None
        return self() if conn.record is None or self.more.detached else conn.record()

    def own(self) -> More:
        """Give the lease's own More, to write to."""
        if self.more is NOTHING_MORE or self.more is NOTHING_BUT_TOLD:
            self.more = More()
        return self.more


class Trail:
    """Who used a lease after whom; made when a second user appears."""

    __slots__ = (
        "before", "flow", "flow_reported", "locks", "passed_on", "reported", "stack", "strand", "suspicious", "trace",
    )  # fmt: skip

    def __init__(self, strand: weakref.ref[Strand], flow: Scope | None, trace: Trace | None) -> None:
        self.before: Actor | None = None
        self.strand = strand
        """Of the user so far; dead once the call it worked in is over."""
        self.flow = flow
        """Of the user so far; None where nobody named it, or it was over when he used the lease."""
        self.trace = trace
        self.suspicious = False
        self.reported = False
        self.flow_reported = False
        self.passed_on = False
        """True once somebody used it after its owner and its user so far had ended."""
        self.stack: Raw = ()
        self.locks: Locks = frozenset()
        """Those held when the user so far began; none where something else explains his turn."""
