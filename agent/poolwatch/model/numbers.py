"""How many and how long: pools, sites and processes in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from poolwatch.model.leases import Site
from poolwatch.model.sockets import PoolSocket


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One value of a histogram, and the sampled trace that it was measured in; ``at`` is a Unix time."""

    value: float
    trace_id: str
    span_id: str
    at: float


def added(values: Iterable[float]) -> float:
    """Add up seconds to the microsecond, whatever their order, or whole numbers.

    Floating point gives another last digit in another order. A counter that falls by so little has begun anew for
    Prometheus, which then counts all of it again.
    """
    terms = list(values)
    if all(isinstance(term, int) for term in terms):
        return sum(terms)
    return sum(round(term * 1e6) for term in terms) / 1e6


@dataclass(frozen=True, slots=True)
class Histogram:
    """A cumulative histogram; ``buckets`` are (upper bound, cumulative count), the last bound is infinity."""

    buckets: tuple[tuple[float, int], ...] = ()
    sum: float = 0.0
    count: int = 0
    exemplars: tuple[Exemplar, ...] = ()
    """The latest of each bucket."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pool may hold; None is unlimited or not applicable."""

    size: int | None = None
    max: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """A step that a pool's floor has climbed: how many connections lay out and unused through one whole window."""

    at: float
    """When that window ended; the floor has not fallen below since."""
    unused: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool as it is now, with its totals since install."""

    name: str
    library: str
    cls: str
    pid: int
    limits: Limits = Limits()
    used: int = 0
    idle: int = 0
    waiting: int = 0
    shared: bool = False
    """True where the class lends one connection to many by design (StaticPool)."""
    checkouts_total: int = 0
    timeouts_total: int = 0
    hand_offs_total: int = 0
    connects_total: int = 0
    wait_seconds: Histogram = Histogram()
    use_seconds: Histogram = Histogram()
    create_seconds: Histogram = Histogram()
    leases_by_owner: dict[str, int] = field(default_factory=dict)
    oldest_lease_seconds: float = 0.0
    peers: tuple[str, ...] = ()
    """The servers (``address:port``) that its connections went to so far."""
    sockets: tuple[PoolSocket, ...] = ()
    """Of the connections it has open; in a forked child only of those that the child has used."""
    floors: tuple[Floor, ...] = ()
    """Lowest and oldest first; empty while nothing lies unused."""
    twin_of: str | None = None
    """The name it was made under, where a pool of that name lived already, so that it was numbered."""


@dataclass(frozen=True, slots=True)
class SiteTotals:
    """What one site has cost a pool so far, by the leases that came back, and what it holds now."""

    pool: str
    site: Site | None
    """None for the sites beyond ``max_sites``, taken together."""
    checkouts_total: int
    use_seconds_total: float
    busy_seconds_total: float
    leases: int = 0
    """Out now."""


@dataclass(frozen=True, slots=True)
class ScopeTotals:
    """What the flows of one name have cost so far, once they ended: requests of a route, runs of a job."""

    name: str
    flows_total: int = 0
    """Those that took a connection or waited for one."""
    leases_total: int = 0
    most_at_once: int = 0
    """Connections that one such flow held at one time."""
    wait_seconds_total: float = 0.0
    use_seconds_total: float = 0.0
    busy_seconds_total: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """One process that poolwatch rode in."""

    pid: int
    ppid: int
    argv: tuple[str, ...]
    started_at: float
    ended_at: float | None = None
    exit: str | None = None
    """How it ended, where ``poolwatch run`` started it: nobody else knows."""
    versions: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    """Name in the ``hooks`` option to "hooked", "not imported", "off" or "failed: why"."""
    hook_errors: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    remedies: dict[str, int] = field(default_factory=dict)
    """Remedy to how often it was applied: fiber, collected, owner_ended, protect_fork."""
    alerts: dict[str, int] = field(default_factory=dict)
    """Sink and outcome, as in "webhook sent", to how often: alerts sent and dropped, attempts that failed."""
    telemetry: tuple[str, ...] = ()
    """What goes to OpenTelemetry providers of its own: metrics, spans, logs."""
    watcher_cpu_seconds: float = 0.0
    interval: float = 0.0
    """Seconds between two looks."""
    pid_namespace: int = 0
    """The table that the pid is of: containers have their own. 0 is unknown."""
    seen_at: float = 0.0
