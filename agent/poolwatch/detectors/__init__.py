"""Detectors: pure functions of a Snapshot, in a tuple. Each is a comparison; nothing here observes or waits.

A detector takes ``(snapshot, config)`` and yields findings that hold at this look. Whether one is new, repeats or
has gone is the book's affair (``poolwatch.findings``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from poolwatch.config import Config
from poolwatch.detectors import crossings, holds, leaks, starvation
from poolwatch.model import Finding, Snapshot

Detector = Callable[[Snapshot, Config], Iterable[Finding]]

DETECTORS: tuple[Detector, ...] = (
    leaks.collected,
    leaks.detached,
    leaks.owner_ended,
    leaks.process_ended,
    leaks.overdue,
    crossings.met,
    starvation.self_deadlock,
    starvation.blocked_loop,
    starvation.exhausted,
    holds.idle_in_transaction,
)


def detect(snapshot: Snapshot, config: Config) -> list[Finding]:
    """Run every detector; a lease keeps only the strongest finding of a leak, and none of a hold beside it."""
    found: list[Finding] = []
    explained: set[int] = set()
    for detector in DETECTORS:
        for finding in detector(snapshot, config):
            if finding.subjects and finding.subjects <= explained:
                continue
            found.append(finding)
            if finding.kind.startswith("leak."):
                explained |= finding.subjects
    return found
