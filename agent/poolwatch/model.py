"""The plain values between capture and everything else: what a Snapshot and a report are made of.

All times are seconds. ``*_at``, ``first_seen`` and ``last_seen`` are Unix times, ages and sums are durations.
Nothing here observes, decides or formats for people; no third-party name comes in.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Grade = Literal["proved", "probable", "suspected"]
State = Literal["open", "resolved"]
OwnerKind = Literal["thread", "task", "greenlet"]

REPORT_VERSION = 1
GRADES: tuple[Grade, ...] = ("proved", "probable", "suspected")
"""Strongest first."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack; ``library`` is true outside the application's own code."""

    file: str
    line: int
    function: str
    library: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """The application frame that took a lease."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who took or uses a lease: process, thread and, where there is one, task or greenlet.

    ``kind`` says which of the three is the narrowest; ``ended_for`` is 0.0 while ``alive``.
    """

    pid: int
    thread: str
    kind: OwnerKind = "thread"
    thread_id: int = 0
    task: str | None = None
    greenlet: str | None = None
    loop: str | None = None
    scope: str | None = None
    trace_id: str | None = None
    alive: bool = True
    ended_for: float = 0.0
    key: int = 0
    """Identity within its process: two values with the same key are the same owner."""

    def __str__(self) -> str:
        inner = self.task or self.greenlet
        name = f"{self.kind} {inner} on thread {self.thread}" if inner else f"thread {self.thread}"
        return f"{name} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Lease:
    """One loan of one connection, from checkout to checkin, as it is now.

    ``held_by``: what a bounded walk found to reach the handle, for suspects only: ``"living frame"`` (handed
    over), ``"dead frame"`` (only the dead owner's own frame or traceback), ``"other"``; None where nobody looked.
    """

    id: int
    pool: str
    library: str
    owner: Owner
    user: Owner
    age_seconds: float
    idle_seconds: float
    site: Site | None
    statements: int = 0
    busy_seconds: float = 0.0
    executing: bool = False
    last_statement: str | None = None
    in_transaction: bool | None = None
    backend_pid: int | None = None
    detached: bool = False
    collected: bool = False
    session: str | None = None
    shared: bool = False
    held_by: str | None = None
    retained_by: tuple[str, ...] = ()
    checkout_stack: tuple[Frame, ...] = ()
    last_use_stack: tuple[Frame, ...] = ()
    current_stack: tuple[Frame, ...] = ()
    release_stack: tuple[Frame, ...] = ()
    attached: bool = True
    """False once the call or context in which it was taken is over, though its thread lives."""
    returned: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who waits for a pool now, or has just given up."""

    pool: str
    owner: Owner
    waited_seconds: float
    id: int = 0
    on_loop: bool = False
    """True where a blocking wait runs on an event loop's thread."""
    timed_out: bool = False
    done: bool = False
    site: Site | None = None
    stack: tuple[Frame, ...] = ()
    holders: tuple[Lease, ...] = ()
    """What was out when the waiter gave up."""
    waiting_owners: tuple[int, ...] = ()
    """Keys of the owners that waited for the pool at that moment."""


IncidentKind = Literal["concurrent", "interleaved", "session", "process", "loop", "transport", "route", "flow"]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something seen at one moment inside a hook: somebody touched what another holds."""

    kind: IncidentKind
    lease: Lease | None
    pool: str
    library: str
    victim: Owner
    culprit: Owner
    at: float
    overlap: bool
    site: Site | None = None
    victim_stack: tuple[Frame, ...] = ()
    culprit_stack: tuple[Frame, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """A cumulative histogram; ``buckets`` are (upper bound, cumulative count), the last bound is infinity."""

    buckets: tuple[tuple[float, int], ...] = ()
    sum: float = 0.0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pool may hold; None is unlimited or not applicable."""

    size: int | None = None
    max: int | None = None
    timeout: float | None = None


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


@dataclass(frozen=True, slots=True)
class SiteTotals:
    """What one site has cost a pool so far."""

    pool: str
    site: Site | None
    """None for the sites beyond ``max_sites``, taken together."""
    checkouts_total: int
    use_seconds_total: float
    busy_seconds_total: float


@dataclass(frozen=True, slots=True)
class Process:
    """One process that poolwatch rode in."""

    pid: int
    ppid: int
    argv: tuple[str, ...]
    started_at: float
    ended_at: float | None = None
    exit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)
    """Hook name to "hooked", "not imported", "off" or "failed: why"."""
    hook_errors: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    watcher_cpu_seconds: float = 0.0
    seen_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, with its grade, its evidence and a hint.

    ``subjects`` are the ids of the leases or waits it is about; empty for what happened at one moment.
    """

    kind: str
    grade: Grade
    pool: str
    library: str
    summary: str
    hint: str
    site: Site | None = None
    owners: tuple[Owner, ...] = ()
    stacks: dict[str, tuple[Frame, ...]] = field(default_factory=dict)
    lease: Json = field(default_factory=dict)
    retained_by: tuple[str, ...] = ()
    subjects: frozenset[int] = frozenset()
    one_per_pool: bool = False
    """True where the fault is the pool's, whatever the site."""
    id: str = ""
    state: State = "open"
    count: int = 1
    first_seen: float = 0.0
    last_seen: float = 0.0
    resolution: str | None = None
    pid: int = 0

    @property
    def key(self) -> tuple[str, str, Site | None]:
        """One fault: same kind, pool and site."""
        return (self.kind, self.pool, None if self.one_per_pool else self.site)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything known at one moment; detectors and exporters see only this."""

    at: float
    process: Process
    pools: tuple[PoolState, ...] = ()
    leases: tuple[Lease, ...] = ()
    """The leases out now, and those that were collected or detached since the last look."""
    waiters: tuple[Waiter, ...] = ()
    incidents: tuple[Incident, ...] = ()
    sites: tuple[SiteTotals, ...] = ()
    findings: tuple[Finding, ...] = ()
    final: bool = False
    """True for the last look, at the end of the process."""

    def to_json(self) -> Json:
        """Give the report of this one process (``"version": 1``; see ``report.schema.json``)."""
        return {
            "version": REPORT_VERSION,
            "generated_at": self.at,
            "processes": [plain(self.process)],
            "pools": [_pool_json(pool) for pool in self.pools],
            "leases": [_lease_json(lease) for lease in self.leases if not lease.returned],
            "findings": [_finding_json(finding) for finding in self.findings],
            "sites": [plain(site) for site in self.sites],
        }


_LEASE_FIELDS = (
    "id", "pool", "library", "age_seconds", "idle_seconds", "owner", "user", "site", "statements",
    "busy_seconds", "in_transaction", "detached",
)  # fmt: skip
_OWNER_FIELDS = ("pid", "thread", "task", "greenlet", "loop", "scope", "trace_id", "alive")
_STACKS = ("checkout", "last_use", "current", "release")


def plain(value: Any) -> Any:
    """Turn a value of this module into what ``json.dumps`` takes; infinity becomes ``"+Inf"``."""
    if isinstance(value, Owner):
        return {name: getattr(value, name) for name in _OWNER_FIELDS}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return "+Inf" if value == float("inf") else value


def _pool_json(pool: PoolState) -> Json:
    data: Json = plain(pool)
    data["class"] = data.pop("cls")
    return data


def _lease_json(lease: Lease) -> Json:
    return {name: plain(getattr(lease, name)) for name in _LEASE_FIELDS}


def _finding_json(finding: Finding) -> Json:
    data: Json = plain(finding)
    del data["subjects"], data["one_per_pool"]
    data["stacks"] = {name: data["stacks"].get(name, []) for name in _STACKS}
    return data


def grade_at_least(grade: str, floor: str) -> bool:
    """Tell whether ``grade`` is as strong as ``floor`` or stronger."""
    order = list(GRADES)
    return order.index(grade) <= order.index(floor)  # type: ignore[arg-type]
