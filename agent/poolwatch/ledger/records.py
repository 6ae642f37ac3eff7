"""What the ledger keeps: pools, connections, sites, leases, waits and crossings, all raw, nothing rendered."""

from __future__ import annotations

import weakref
from itertools import count
from time import monotonic
from types import CodeType
from typing import Any

from poolwatch.senses import flow as senses_flow
from poolwatch.senses import sockets
from poolwatch.senses.actor import Actor, Loop
from poolwatch.senses.flow import Scope, Strand, Trace, current_scope
from poolwatch.senses.marks import Marks
from poolwatch.senses.stack import Raw

serial = count(1).__next__


class Pool:
    """One logical pool: a SQLAlchemy engine's pool keeps its entry over ``dispose()``."""

    __slots__ = ("base", "cls", "key", "library", "limits", "loop_bound", "marks", "name", "peers", "shared", "system")

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
        self.marks: Marks | None = None
        """What the application said of it; None for most."""


BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the histograms' buckets, seconds: those OpenTelemetry advises for database clients."""


class Site:
    """A line that takes leases; keeps its code object, so that its id is not reused."""

    __slots__ = ("code", "counted", "hot", "offset", "sample", "seen")

    def __init__(self, code: CodeType | None, offset: int, counted: Site | None = None) -> None:
        self.code = code
        self.offset = offset
        self.counted = counted
        """The site whose sums its leases are added to, where it is one too many to have its own."""
        self.seen = 0
        self.hot = False
        """True once a lease of this line has a finding: then every one keeps its stack."""
        self.sample: Raw = ()
        """The stack of an earlier lease from this line."""


NOWHERE = Site(None, 0)
"""Stands for the site of a connection that was not lent yet."""


class Sums:
    """What one line has done with one connection; added to only by whoever returns that connection."""

    __slots__ = ("busy", "counts", "returned", "site", "used")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.returned = 0
        self.used = 0.0
        self.busy = 0.0
        self.counts = [0] * (len(BOUNDS) + 1)


NOTHING_YET = Sums(NOWHERE)
"""Stands for the sums of a connection that did not come back yet; never added to."""


class Conn:
    """One physical connection, or its place in the pool.

    Its numbers need no lock: a connection is lent to one at a time, and only its holder adds to them.
    """

    __slots__ = (
        "depth", "foreign", "hand_offs", "home", "inside", "latest", "lease", "lent", "loop", "open", "pool",
        "reported", "settled", "since", "site", "socket", "sums",
    )  # fmt: skip

    def __init__(self, pool: Pool, home: int, loop: Loop | None) -> None:
        self.pool = pool
        self.home = home
        """Serial of the physical pool object it belongs to."""
        self.loop = loop
        self.open = True
        self.socket = sockets.NONE
        """What it speaks through; for those libraries whose connections go to a database."""
        self.lease: Lease | None = None
        self.inside: Actor | None = None
        """Who executes in it at this moment."""
        self.since = 0.0
        self.settled: tuple[float, int] = (0.0, 0)
        """The lease (by when it was taken) that committed last, and how many statements it had run by then."""
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


class More:
    """What few leases have: made when the first of it appears."""

    __slots__ = ("common", "detached", "foreign", "remedy", "scope", "session", "trail")

    def __init__(self) -> None:
        self.common = False
        """True where it belongs to something around the flows that use it."""
        self.detached = False
        self.foreign = False
        """True where it was taken before a fork, by the parent."""
        self.remedy: str | None = None
        """What of poolwatch gives it back, in its owner's stead."""
        self.scope: Scope | None = None
        self.session: str | None = None
        """Class name of the ORM Session that works on it."""
        self.trail: Trail | None = None


NOTHING_MORE = More()
"""Stands for the More of a lease that has none; never written to."""
NOTHING_BUT_TOLD = More()
"""The same for a lease that the watcher is to be told of when it comes back."""


class Lease(weakref.ref[Any]):
    """One loan; it is itself the weak reference to the handle, whose callback marks it collected.

    Compare leases with ``is``: equality of weak references asks their referents.
    """

    __slots__ = (
        "_id", "busy", "collected", "conn", "more", "owner", "returned", "site", "stack", "statement", "statements",
        "strand", "taken", "trace", "used", "user",
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
    trace: Trace | None
    """The span that was current where it was taken; of a lease of a sampled trace the watcher is told."""
    more: More

    @property
    def id(self) -> int:
        """Number of the lease, given when somebody asks first."""
        if not self._id:
            self._id = serial()
        return self._id

    def own(self) -> More:
        """Give the lease's own More, to write to."""
        if self.more is NOTHING_MORE or self.more is NOTHING_BUT_TOLD:
            self.more = More()
        return self.more


class Trail:
    """Who used a lease after whom; made when a second user appears."""

    __slots__ = ("before", "flow", "flow_reported", "passed_on", "reported", "stack", "strand", "suspicious", "trace")

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
