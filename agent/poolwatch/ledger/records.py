"""What the ledger keeps: pools, connections, sites, leases, waits and crossings, all raw, nothing rendered."""

from __future__ import annotations

import weakref
from itertools import count
from time import monotonic
from types import CodeType
from typing import Any

from poolwatch.senses.actor import Actor, Loop
from poolwatch.senses.flow import Scope, Strand, current_scope
from poolwatch.senses.marks import Marks
from poolwatch.senses.stack import Raw

serial = count(1).__next__


class Pool:
    """One logical pool: a SQLAlchemy engine's pool keeps its entry over ``dispose()``."""

    __slots__ = ("base", "cls", "key", "library", "limits", "loop_bound", "marks", "name", "shared")

    def __init__(self, name: str, library: str, cls: str) -> None:
        self.key = serial()
        self.name = self.base = name
        """``base`` is the name before it was numbered."""
        self.library = library
        self.cls = cls
        self.limits: tuple[int | None, int | None, float | None] = (None, None, None)
        """Size, most connections, seconds a wait may last; None is unlimited or not applicable."""
        self.shared = False
        """True where the class lends one connection to many by design."""
        self.loop_bound = False
        """True where using a connection on another loop than it was opened on is a fault."""
        self.marks: Marks | None = None
        """What the application said of it; None for most."""


class Sums:
    """What one line has done with one connection; added to only by whoever returns that connection."""

    __slots__ = ("busy", "counts", "returned", "used")

    def __init__(self) -> None:
        self.returned = 0
        self.used = 0.0
        self.busy = 0.0
        self.counts = [0] * (len(BOUNDS) + 1)


BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the histograms' buckets, seconds: those OpenTelemetry advises for database clients."""


class Conn:
    """One physical connection, or its place in the pool.

    Its numbers need no lock: a connection is lent to one at a time, and only its holder adds to them.
    """

    __slots__ = (
        "foreign", "hand_offs", "home", "inside", "lease", "lent", "loop", "open", "pool", "reported", "since", "sums",
    )  # fmt: skip

    def __init__(self, pool: Pool, home: int, loop: Loop | None) -> None:
        self.pool = pool
        self.home = home
        """Serial of the physical pool object it belongs to."""
        self.loop = loop
        self.open = True
        self.lease: Lease | None = None
        self.inside: Actor | None = None
        """Who executes in it at this moment."""
        self.since = 0.0
        self.foreign = 0
        """The pid it was opened in, where that is not this process."""
        self.reported = False
        """True once a crossing of process or loop was reported for it."""
        self.lent = 0
        self.hand_offs = 0
        self.sums: dict[Site, Sums] = {}


class Site:
    """A line that takes leases; keeps its code object, so that its id is not reused."""

    __slots__ = ("code", "hot", "offset", "sample", "seen")

    def __init__(self, code: CodeType | None, offset: int) -> None:
        self.code = code
        self.offset = offset
        self.seen = 0
        self.hot = False
        """True once a lease of this line has a finding: then every one keeps its stack."""
        self.sample: Raw = ()
        """The stack of an earlier lease from this line."""


class More:
    """What few leases have: made when the first of it appears."""

    __slots__ = ("detached", "foreign", "remedy", "scope", "session", "trace", "trail")

    def __init__(self) -> None:
        self.detached = False
        self.foreign = False
        """True where it was taken before a fork, by the parent."""
        self.remedy: str | None = None
        """What of poolwatch gives it back, in its owner's stead."""
        self.scope: Scope | None = None
        self.trace = 0
        """OpenTelemetry's trace id where it was taken; 0 where there is none."""
        self.session: str | None = None
        """Class name of the ORM Session that works on it."""
        self.trail: Trail | None = None


NOTHING_MORE = More()
"""Stands for the More of a lease that has none; never written to."""


class Lease(weakref.ref[Any]):
    """One loan; it is itself the weak reference to the handle, whose callback marks it collected.

    Compare leases with ``is``: equality of weak references asks their referents.
    """

    __slots__ = (
        "_id", "busy", "collected", "conn", "more", "owner", "returned", "site", "stack", "statement", "statements",
        "strand", "taken", "used", "user",
    )  # fmt: skip

    _id: int
    conn: Conn
    owner: Actor
    user: Actor
    strand: weakref.ref[Strand]
    site: Site
    stack: Raw
    taken: float
    used: float
    """When it was last used; monotonic seconds, as ``taken`` and ``returned``."""
    returned: float
    busy: float
    statements: int
    statement: str | None
    collected: float
    more: More

    @property
    def id(self) -> int:
        """Number of the lease, given when somebody asks first."""
        if not self._id:
            self._id = serial()
        return self._id

    def own(self) -> More:
        """Give the lease's own More, to write to."""
        if self.more is NOTHING_MORE:
            self.more = More()
        return self.more


class Trail:
    """Who used a lease after whom; made when a second user appears."""

    __slots__ = ("before", "flow", "flow_reported", "reported", "stack", "strand", "suspicious", "trace")

    def __init__(self, strand: weakref.ref[Strand], flow: Scope | None, trace: int) -> None:
        self.before: Actor | None = None
        self.strand = strand
        """Of the user so far; dead once the call it worked in is over."""
        self.flow = flow
        """Of the user so far; None where nobody named it, or it was over when he used the lease."""
        self.trace = trace
        self.suspicious = False
        self.reported = False
        self.flow_reported = False
        self.stack: Raw = ()


class Wait:
    """Somebody blocked on an empty pool."""

    __slots__ = (
        "holders", "home", "id", "on_loop", "owner", "pool", "scope", "since", "stack", "timed_out", "until", "waiting",
    )  # fmt: skip

    def __init__(self, pool: Pool, owner: Actor, on_loop: bool, where: Raw, home: int) -> None:
        self.id = serial()
        self.pool = pool
        self.owner = owner
        self.on_loop = on_loop
        self.scope = current_scope()
        if self.scope is not None:
            self.scope.took = True
        self.stack = where
        self.since = monotonic()
        self.until = 0.0
        self.timed_out = False
        self.holders: tuple[Lease, ...] = ()
        """What was out when the wait timed out."""
        self.waiting: tuple[Actor, ...] = ()
        """Who waited for the same pool when the wait timed out."""
        self.home = home

    def is_held_by(self, lease: Lease) -> bool:
        """Tell whether ``lease`` takes a place in the pool waited for: not detached, not of one disposed of."""
        conn = lease.conn
        return conn.pool is self.pool and self.home in (0, conn.home) and not lease.more.detached


class Event:
    """A crossing seen in a hook, with raw evidence."""

    __slots__ = (
        "at",
        "culprit",
        "culprit_stack",
        "detail",
        "kind",
        "lease",
        "overlap",
        "pool",
        "scopes",
        "victim",
        "victim_stack",
    )

    def __init__(
        self, kind: str, pool: Pool, lease: Lease | None, victim: tuple[Actor, Raw], culprit: tuple[Actor, Raw]
    ) -> None:
        self.kind = kind
        self.pool = pool
        self.lease = lease
        self.victim, self.victim_stack = victim
        self.culprit, self.culprit_stack = culprit
        self.overlap = True
        self.scopes: tuple[Scope | None, Scope | None] = (None, None)
        """The flows of victim and culprit, where they matter."""
        self.detail = ""
        self.at = monotonic()
