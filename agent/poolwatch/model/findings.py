"""What was found, and everything known at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from poolwatch.model.jsonable import Json, plain
from poolwatch.model.leases import Frame, Incident, Lease, Owner, Site, Waiter
from poolwatch.model.numbers import PoolState, Process, ScopeTotals, SiteTotals
from poolwatch.model.sockets import SuspectSocket

Grade = Literal["proved", "probable", "suspected"]
State = Literal["open", "resolved"]

REPORT_VERSION = 1
GRADES: tuple[Grade, ...] = ("proved", "probable", "suspected")
"""Strongest first."""
KINDS = (
    "crossing.process", "crossing.concurrent", "crossing.flow", "crossing.session", "crossing.loop",
    "crossing.transport", "crossing.route", "starvation.self_deadlock", "starvation.exhausted",
    "leak.collected", "leak.owner_ended", "leak.scope_ended", "leak.detached", "leak.process_ended",
    "starvation.blocked_loop", "orphan.socket", "capacity.oversubscribed", "drift.rising_floor", "leak.overdue",
    "hold.idle_in_transaction", "crossing.interleaved", "hold.idle",
)  # fmt: skip
"""Worst first: wrong data, then a standstill, then what leads to one."""
STACKS = ("checkout", "last_use", "current", "release")
_COUNTED = ("kind", "grade", "pool", "state")


def grade_at_least(grade: str, floor: str) -> bool:
    """Tell whether ``grade`` is as strong as ``floor`` or stronger."""
    return list(GRADES).index(grade) <= list(GRADES).index(floor)  # type: ignore[arg-type]


_OF_A_POOL = {"starvation.exhausted", "starvation.self_deadlock", "orphan.socket", "drift.rising_floor"}
Place = tuple[str, int, str]
"""File, line and function of a site."""
Fault = tuple[str, str, "Place | None"]


def fault(kind: str, pool: str, twin_of: str | None, place: Place | None) -> Fault:
    """Give what makes one fault: the kind, the pool, and the site where that matters.

    At one site all pools made under one name are one: an engine that is made at each call may be a new pool each time.
    """
    return (kind, pool, None) if place is None or kind in _OF_A_POOL else (kind, twin_of or pool, place)


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
    id: str = ""
    state: State = "open"
    count: int = 1
    first_seen: float = 0.0
    last_seen: float = 0.0
    resolution: str | None = None
    pid: int = 0
    twin_of: str | None = None
    """As for the pool's state."""
    JSON: ClassVar = (
        "id", "kind", "grade", "state", "pool", "library", "count", "first_seen", "last_seen", "summary", "hint",
        "site", "owners", "stacks", "lease", "retained_by", "resolution", "pid", "twin_of",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "stacks", {name: self.stacks.get(name, ()) for name in STACKS})

    @property
    def traceparent(self) -> str | None:
        """Give where it came from, as W3C writes it: the span of the first of its owners who had one."""
        return next((owner.traceparent for owner in self.owners if owner.traceparent), None)

    @property
    def key(self) -> Fault:
        """Give what other findings of the same fault have in common with this one."""
        site = self.site
        return fault(self.kind, self.pool, self.twin_of, (site.file, site.line, site.function) if site else None)

    @property
    def one_per_pool(self) -> bool:
        """True where the fault is the pool's, whatever the site."""
        return self.kind in _OF_A_POOL


@dataclass(frozen=True, slots=True)
class FindingTotal:
    """How often one kind was seen on a pool since install; unlike findings, it never shrinks."""

    kind: str
    grade: Grade
    pool: str
    count: int


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
    scopes: tuple[ScopeTotals, ...] = ()
    sockets: tuple[SuspectSocket, ...] = ()
    findings: tuple[Finding, ...] = ()
    findings_total: tuple[FindingTotal, ...] = ()
    final: bool = False
    """True for the last look, at the end of the process."""
    ending_thread: int = 0
    """Ident of the thread that ends the process, at its last look."""

    def numbers(self) -> Json:
        """Give of the report what metrics are computed from: no leases, and no evidence of findings."""
        counted = [{name: getattr(finding, name) for name in _COUNTED} for finding in self.findings]
        return {**replace(self, leases=(), findings=()).to_json(), "findings": counted}

    def to_json(self) -> Json:
        """Give the report of this one process (``"version": 1``; see ``report.schema.json``)."""
        return {
            "version": REPORT_VERSION,
            "generated_at": self.at,
            "processes": [plain(self.process)],
            "pools": plain(self.pools),
            "leases": plain([lease for lease in self.leases if not lease.returned]),
            "findings": plain(self.findings),
            "findings_total": plain(self.findings_total),
            "sites": plain(self.sites),
            "scopes": plain(self.scopes),
        }
