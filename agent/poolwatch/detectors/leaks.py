"""Connections that were borrowed and not given back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, seconds, sentence
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Grade, Lease, Snapshot

_KEPT_BY_DESIGN = {"gql"}
"""Libraries whose sessions are meant to stay connected: idle time says nothing there."""
_TO_HOLD = re.compile(r"\s*(listen\s|select\s+(pg_(try_)?advisory_lock|get_lock)\w*\s*\()", re.IGNORECASE)
"""What is executed on a connection so as to hold it still: for notifications, or a lock of the session's."""

_DOUBTS = {
    "unknown": " What living code holds was too much to look through: it may have been handed over.",
    "unseen": " Something that Python does not show keeps it, as `atexit` or a context would: it may be handed over.",
    "place": " Other code reads that name, and nobody has used it since: it may have been put there for later.",
}


def collected(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """The handle was garbage-collected and never returned: proved."""
    for lease in snapshot.leases:
        if lease.collected and not lease.detached:
            yield of_lease(
                snapshot,
                lease,
                "leak.collected",
                "proved",
                f"A connection taken by {lease.owner} was dropped without being returned, after "
                f"{seconds(lease.age_seconds)}; the garbage collector found it.",
                hint("leak.collected", lease.library, lease.owner.kind),
            )


def detached(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A detached connection was dropped without close: proved."""
    for lease in snapshot.leases:
        if lease.collected and lease.detached:
            yield of_lease(
                snapshot,
                lease,
                "leak.detached",
                "proved",
                f"A connection detached from its pool by {lease.owner} was dropped without being closed.",
                hint("leak.detached"),
            )


def owner_ended(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Owner and user ended while holding and no living frame reaches the handle: probable, or proved."""
    for lease in snapshot.leases:
        if not _over(snapshot, lease, config.grace):
            continue
        kept = f" It is kept by {lease.retained_by[0]}." if lease.retained_by else ""
        yield of_lease(
            snapshot,
            lease,
            "leak.owner_ended",
            _grade(lease),
            f"{sentence(lease.owner)} ended without returning its connection, held for "
            f"{seconds(lease.age_seconds)}.{kept}{_DOUBTS.get(str(lease.held_by), '')}",
            hint("leak.owner_ended").format(owner=lease.owner.kind),
        )


def not_put_back(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Who used it last has ended, and left it where its owner, who lives, will not look for it: probable."""
    for lease in snapshot.leases:
        if not _is_left(snapshot, lease, config.grace):
            continue
        aside = "; others taken at the same line lie in a queue" if lease.held_by == "aside" else ""
        yield of_lease(
            snapshot,
            lease,
            "leak.owner_ended",
            "probable",
            f"{sentence(lease.user)} ended without putting back the connection that it had in use{aside}. "
            f"It is kept by {lease.retained_by[0]}.",
            hint("leak.owner_ended", "put back"),
        )


def _is_left(snapshot: Snapshot, lease: Lease, grace: float) -> bool:
    if lease.returned or lease.collected or lease.detached or lease.executing:
        return False
    if lease.user.alive or not lease.owner.alive or lease.held_by not in ("aside", "dead frame"):
        return False
    return snapshot.final or lease.user.ended_for >= grace


def _grade(lease: Lease) -> Grade:
    if lease.held_by == "dead frame":
        return "proved"
    return "suspected" if lease.passed_on or lease.held_by in _DOUBTS else "probable"


def _over(snapshot: Snapshot, lease: Lease, grace: float) -> bool:
    if lease.returned or lease.collected or lease.detached or lease.executing:
        return False
    if lease.owner.alive or lease.user.alive or lease.handed_over or _in_service(lease):
        return False
    return snapshot.final or min(lease.owner.ended_for, lease.user.ended_for) >= grace


def _in_service(lease: Lease) -> bool:
    """Tell whether a connection lies in a name of the application's for whoever comes: only ``overdue`` may tell."""
    return lease.passed_on and bool(lease.retained_by) and lease.held_by in ("other", "place", "unknown")


def given_back(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A fiber ended while holding, and its block gave the connection back: proved, and resolved at once."""
    for lease in snapshot.leases:
        if lease.returned and lease.remedy == "fiber":
            finding = of_lease(
                snapshot,
                lease,
                "leak.owner_ended",
                "proved",
                f"{sentence(lease.owner)} ended its fiber without returning its connection, held for "
                f"{seconds(lease.age_seconds)}.",
                hint("leak.owner_ended", "in a fiber"),
            )
            yield replace(finding, state="resolved", resolution="returned by poolwatch.fiber at the end")


def process_ended(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """The process ended with the lease out: proved."""
    if not snapshot.final:
        return
    for lease in snapshot.leases:
        if not (lease.returned or lease.collected or _on_its_way_back(snapshot, lease)):
            yield of_lease(
                snapshot,
                lease,
                "leak.process_ended",
                "proved",
                f"Process {snapshot.process.pid} ended while {lease.user} still held a connection, taken "
                f"{seconds(lease.age_seconds)} before.",
                hint("leak.process_ended", lease.library),
            )


def _on_its_way_back(snapshot: Snapshot, lease: Lease) -> bool:
    """Tell whether another thread, which the end has cut short, holds no longer than those that its line returns."""
    if not lease.user.alive or lease.user.thread_id == snapshot.ending_thread:
        return False
    usual = [
        totals.use_seconds_total / totals.checkouts_total
        for totals in snapshot.sites
        if (totals.pool, totals.site) == (lease.pool, lease.site) and totals.checkouts_total
    ]
    return bool(usual) and lease.age_seconds <= max(2 * usual[0], snapshot.process.interval)


def overdue(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Held longer than allowed and idle all that while: suspected."""
    for lease in snapshot.leases:
        if lease.returned or lease.collected or lease.executing or (lease.in_transaction and _sooner(config)):
            continue
        if lease.library in _KEPT_BY_DESIGN or lease.listens or _TO_HOLD.match(lease.last_statement or ""):
            continue
        if lease.idle_seconds >= config.overdue_after:
            yield of_lease(
                snapshot,
                lease,
                "leak.overdue",
                "suspected",
                f"{sentence(lease.user)} has held a connection for {seconds(lease.age_seconds)} and run no "
                f"statement on it for {seconds(lease.idle_seconds)}.",
                hint("leak.overdue"),
            )


def _sooner(config: Config) -> bool:
    """Tell whether an idle transaction is reported before an overdue lease, so that one lease is one finding."""
    return config.idle_in_transaction_after <= config.overdue_after
