"""What the ledger keeps: pools, connections, sites, waits and crossings, all raw, nothing rendered."""

from __future__ import annotations

import weakref
from itertools import count
from time import monotonic
from types import CodeType
from typing import TYPE_CHECKING, Any

from poolwatch.senses import driver, sockets
from poolwatch.senses import flow as senses_flow
from poolwatch.senses.actors import Actor, Loop
from poolwatch.senses.flow import Scope, current_scope
from poolwatch.senses.marks import Marks
from poolwatch.senses.stack import Raw

if TYPE_CHECKING:
    from poolwatch.ledger.leases import Lease

serial = count(1).__next__
_FULL_STACKS = 4
_SAMPLE_MASK = 63


class Pool:
    """One logical pool: a SQLAlchemy engine's pool keeps its entry over ``dispose()``."""

    __slots__ = (
        "base", "cls", "key", "library", "limits", "loop_bound", "marks", "name", "peers", "shared", "system", "tests",
    )  # fmt: skip

    def __init__(self, name: str, library: str, cls: str) -> None:
        self.key = serial()
        self.name = self.base = name
        """``base`` is the name before it was numbered."""
        self.library = library
        self.cls = cls
        self.system = ""
        """The database's name by OpenTelemetry's conventions, where the hook knows it."""
        self.limits: tuple[int | None, int | None, float | None] = (None, None, None)
        """Size, most connections, seconds a wait may last; None is unlimited or not applicable."""
        self.peers: tuple[str, ...] = ()
        """The servers (``address:port``) that its connections went to so far."""
        self.shared = False
        """True where the class lends one connection to many by design."""
        self.loop_bound = False
        """True where using a connection on another loop than it was opened on is a fault."""
        self.tests = False
        """True where it lends no connection before it has seen that it lives."""
        self.marks: Marks | None = None
        """What the application said of it; None for most."""


BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the histograms' buckets, seconds: those OpenTelemetry advises for database clients."""


class Site:
    """A line that takes leases; keeps its code object, so that its id is not reused."""

    __slots__ = ("code", "counted", "due", "hot", "offset", "sample", "seen")

    def __init__(self, code: CodeType | None, offset: int, counted: Site | None = None) -> None:
        self.code = code
        self.offset = offset
        self.counted = counted
        """The site whose sums its leases are added to, where it is one too many to have its own."""
        self.seen = 0
        self.due = 0
        """How many leases there must be for the next to keep its whole stack."""
        self.hot = False
        """True once a lease of this line has a finding; ``heat`` makes it so."""
        self.sample: Raw = ()
        """The stack of an earlier lease from this line."""

    def heat(self) -> None:
        """Have every lease of this line keep its stack from now on, and the watcher told of it."""
        self.hot = True
        self.due = 0

    def sampled(self, stack: Raw) -> Raw:
        """Keep the stack that was due, and say when the next one is: the first few, then few, of a hot line all."""
        if not self.hot:
            self.due = self.seen + 1 if self.seen < _FULL_STACKS else (self.seen | _SAMPLE_MASK) + 1
        self.sample = stack
        return stack


NOWHERE = Site(None, 0)
"""Stands for the site of a connection that was not lent yet."""


class Sums:
    """What one line has done with one connection; added to only by whoever returns that connection."""

    __slots__ = ("busy", "counts", "site", "used")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.used = 0.0
        self.busy = 0.0
        self.counts = [0] * (len(BOUNDS) + 1)
        """Leases that came back, by how long they were held: one for each of ``BOUNDS``, and those beyond."""

    @property
    def returned(self) -> int:
        """Give how many leases came back."""
        return sum(self.counts)


NOTHING_YET = Sums(NOWHERE)
"""Stands for the sums of a connection that did not come back yet; never added to."""


class Conn:
    """One physical connection, or its place in the pool.

    Its numbers need no lock: a connection is lent to one at a time, and only its holder adds to them.
    """

    __slots__ = (
        "depth", "foreign", "hand_offs", "home", "inside", "latest", "lease", "lent", "loop", "open", "pool", "record",
        "reported", "settled", "since", "site", "socket", "sums",
    )  # fmt: skip

    def __init__(self, pool: Pool, home: int, loop: Loop | None) -> None:
        self.pool = pool
        self.home = home
        """Serial of the physical pool object it belongs to."""
        self.loop = loop
        self.open = True
        self.record: weakref.ref[Any] | None = None
        """What of the library has a reference to this, where one does."""
        self.socket = sockets.NONE
        """What it speaks through; for those libraries whose connections go to a database."""
        self.lease: Lease | None = None
        self.inside: Actor | None = None
        """Who executes in it at this moment."""
        self.since = 0.0
        self.settled: tuple[float, int] = (0.0, 0)
        """The lease (by when it was taken) that ended a transaction last, and how many statements it had run then."""
        self.foreign = 0
        """The pid it was opened in, where that is not this process."""
        self.reported = False
        """True once a crossing of process or loop was reported for it."""
        self.lent = 0
        self.hand_offs = 0
        self.sums: dict[Site, Sums] = {}
        self.latest = NOTHING_YET
        """Those of ``sums`` that were added to last."""
        self.site = NOWHERE
        """The line that took it last."""
        self.depth = 0
        """How many frames that line was above the ledger's; 0 where it must be looked for."""


class Wait:
    """Somebody blocked on an empty pool."""

    __slots__ = (
        "holders", "home", "id", "on_loop", "owner", "pool", "scope", "since", "stack", "timed_out", "trace", "until",
        "waiting",
    )  # fmt: skip

    def __init__(self, pool: Pool, owner: Actor, on_loop: bool, where: Raw, home: int) -> None:
        self.id = serial()
        self.pool = pool
        self.owner = owner
        self.on_loop = on_loop
        self.scope = current_scope()
        if self.scope is not None:
            self.scope.took = True
        self.trace = None if senses_flow.current_trace is None else senses_flow.current_trace()
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
        "state",
        "victim",
        "victim_stack",
    )

    def __init__(
        self, kind: str, pool: Pool, lease: Lease | None, victim: tuple[Actor, Raw], culprit: tuple[Actor, Raw]
    ) -> None:
        self.kind = kind
        self.pool = pool
        self.lease = lease
        self.state = driver.UNKNOWN if lease is None else driver.state(lease.carrier())
        """What the driver said at that moment: when the watcher looks, the connection may be somebody else's."""
        self.victim, self.victim_stack = victim
        self.culprit, self.culprit_stack = culprit
        self.overlap = True
        self.scopes: tuple[Scope | None, Scope | None] = (None, None)
        """The flows of victim and culprit, where they matter."""
        self.detail = ""
        self.at = monotonic()
