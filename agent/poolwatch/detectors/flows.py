"""What outlives the flow of work that it belongs to: a request, a job, a test."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, seconds
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Lease, Snapshot

_SAME = 0.001
"""A use this close to the flow's end (seconds) was not after it."""


def scope_ended(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """The flow that took the lease is over, and nobody alive has the connection in hand: proved.

    Not so where it lies beside one that has served others since: that is an application's own store of connections.
    """
    stores = {_store(lease) for lease in snapshot.leases if lease.scope_ended_for and _was_handed_on(lease)} - {None}
    for lease in snapshot.leases:
        stored = _store(lease) in stores and not lease.scope_must_return
        if stored or not _over(snapshot, lease, config.grace):
            continue
        kept = f" It is kept by {lease.retained_by[0]}." if lease.retained_by else ""
        yield of_lease(
            snapshot,
            lease,
            "leak.scope_ended",
            "proved",
            f"{lease.owner.scope} ended without returning a connection that it took, held for "
            f"{seconds(lease.age_seconds)}.{kept}",
            hint("leak.scope_ended"),
        )


def _over(snapshot: Snapshot, lease: Lease, grace: float) -> bool:
    if lease.returned or lease.collected or lease.detached or lease.executing or not lease.scope_ended_for:
        return False
    if lease.scope_must_return:
        return True
    if lease.handed_over or _was_handed_on(lease):
        return False
    return snapshot.final or lease.scope_ended_for >= grace


def _was_handed_on(lease: Lease) -> bool:
    """Tell whether somebody has used it since its flow was over."""
    return lease.idle_seconds < lease.scope_ended_for - _SAME


def _store(lease: Lease) -> str | None:
    """Give the name of the container that it lies in."""
    name, bracket, _ = lease.retained_by[0].partition("[") if lease.retained_by else ("", "", "")
    return name if bracket else None
