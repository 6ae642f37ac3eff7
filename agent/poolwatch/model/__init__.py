"""The plain values between capture and everything else: what a Snapshot and a report are made of.

All times are seconds. ``*_at``, ``first_seen`` and ``last_seen`` are Unix times, ages and sums are durations.
Nothing here observes, decides or formats for people; no third-party name comes in.
"""

from poolwatch.model.findings import (
    GRADES,
    KINDS,
    REPORT_VERSION,
    STACKS,
    Fault,
    Finding,
    FindingTotal,
    Grade,
    Place,
    Snapshot,
    State,
    fault,
    grade_at_least,
)
from poolwatch.model.jsonable import Json, plain
from poolwatch.model.leases import Frame, Incident, Lease, Owner, OwnerKind, Site, Waiter, told_apart
from poolwatch.model.numbers import (
    Exemplar,
    Floor,
    Histogram,
    Limits,
    PoolState,
    Process,
    ScopeTotals,
    SiteTotals,
    added,
)
from poolwatch.model.sockets import PoolSocket, SuspectSocket

__all__ = [
    "GRADES",
    "KINDS",
    "REPORT_VERSION",
    "STACKS",
    "Exemplar",
    "Fault",
    "Finding",
    "FindingTotal",
    "Floor",
    "Frame",
    "Grade",
    "Histogram",
    "Incident",
    "Json",
    "Lease",
    "Limits",
    "Owner",
    "OwnerKind",
    "Place",
    "PoolSocket",
    "PoolState",
    "Process",
    "ScopeTotals",
    "Site",
    "SiteTotals",
    "Snapshot",
    "State",
    "SuspectSocket",
    "Waiter",
    "added",
    "fault",
    "grade_at_least",
    "plain",
    "told_apart",
]  # fmt: skip
