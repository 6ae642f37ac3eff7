"""Detectors: pure functions of a Snapshot, in a tuple. Each is a comparison; nothing here observes or waits.

A detector takes ``(snapshot, config)`` and yields findings that hold at this look. Whether one is new, repeats or
has gone is the book's affair (``poolwatch.book``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from poolwatch.config import Config
from poolwatch.detectors import crossings, drift, flows, holds, leaks, sockets, starvation
from poolwatch.model import Finding, Snapshot

Detector = Callable[[Snapshot, Config], Iterable[Finding]]

_ABOUT_LEASES = ("leak.", "hold.idle_in_transaction")

DETECTORS: tuple[Detector, ...] = (
    leaks.collected,
    leaks.detached,
    flows.scope_ended,
    leaks.owner_ended,
    leaks.not_put_back,
    leaks.given_back,
    leaks.overdue,
    holds.idle_in_transaction,
    leaks.process_ended,
    crossings.met,
    starvation.self_deadlock,
    starvation.blocked_loop,
    starvation.exhausted,
    holds.idle,
    sockets.orphan,
    drift.rising_floor,
)


def detect(snapshot: Snapshot, config: Config) -> list[Finding]:
    """Run every detector; a lease keeps the first finding that explains it, in the order of the tuple."""
    twins = {pool.name: pool.twin_of for pool in snapshot.pools if pool.twin_of}
    found: list[Finding] = []
    explained: set[int] = set()
    for detector in DETECTORS:
        for finding in detector(snapshot, config):
            if finding.subjects and finding.subjects <= explained:
                continue
            found.append(replace(finding, twin_of=twins[finding.pool]) if finding.pool in twins else finding)
            if finding.kind.startswith(_ABOUT_LEASES):
                explained |= finding.subjects
    return found
