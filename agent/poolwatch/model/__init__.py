"""The plain values between capture and everything else: what a Snapshot and a report are made of.

All times are seconds. ``*_at``, ``first_seen`` and ``last_seen`` are Unix times, ages and sums are durations.
Nothing here observes, decides or formats for people; no third-party name comes in.
"""

from poolwatch.model.findings import (
    GRADES,
    REPORT_VERSION,
    STACKS,
    Finding,
    FindingTotal,
    Grade,
    Snapshot,
    State,
    grade_at_least,
)
from poolwatch.model.leases import Frame, Incident, Lease, Owner, OwnerKind, Site, Waiter
from poolwatch.model.numbers import Histogram, Limits, PoolState, Process, ScopeTotals, SiteTotals
from poolwatch.plain import Json, plain

__all__ = [
    "GRADES", "REPORT_VERSION", "STACKS", "Finding", "FindingTotal", "Frame", "Grade", "Histogram", "Incident", "Json",
    "Lease", "Limits", "Owner", "OwnerKind", "PoolState", "Process", "ScopeTotals", "Site", "SiteTotals", "Snapshot",
    "State", "Waiter", "grade_at_least", "plain",
]  # fmt: skip
