"""Connections that were borrowed and not given back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, seconds, sentence
from poolwatch.model import Finding, Lease, Snapshot

_CLOSE = "Give it back on every path: `with engine.connect() as connection:` or `with Session(engine) as session:`."
_CLOSE_ASYNC = "Give it back on every path: `async with`; the event loop must still run when it is closed."
_CLOSE_HINTS = {
    "psycopg_pool": "Use `with pool.connection() as connection:`; what `getconn()` gave must go to `putconn()` in "
    "`finally`, and `with pool.getconn()` does not return it. The pool does not notice: this slot is lost for good.",
}
_END_HINTS = {
    "psycopg_pool": "Give back what is open when the program ends, and call pool.close() last.",
    "asyncpg": "Give back what is open when the program ends, and await pool.close() last.",
}
_KEPT_BY_DESIGN = {"gql"}
"""Libraries whose sessions are meant to stay connected: idle time says nothing there."""


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
                _CLOSE_HINTS.get(lease.library, _CLOSE_ASYNC if lease.owner.task else _CLOSE),
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
                "After detach() the connection is yours: call close() on it, in a `finally` or a `with` block.",
            )


def owner_ended(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Owner and user ended while holding and no living frame reaches the handle: probable, or proved."""
    for lease in snapshot.leases:
        if not _over(snapshot, lease, config.grace):
            continue
        only_dead = lease.held_by == "dead frame"
        kept = f" It is kept by {lease.retained_by[0]}." if lease.retained_by else ""
        yield of_lease(
            snapshot,
            lease,
            "leak.owner_ended",
            "proved" if only_dead else "probable",
            f"{sentence(lease.owner)} ended without returning its connection, held for "
            f"{seconds(lease.age_seconds)}.{kept}",
            f"Return it before the {lease.owner.kind} ends: a `with` block around the work, or close it in `finally`.",
        )


def _over(snapshot: Snapshot, lease: Lease, grace: float) -> bool:
    if lease.returned or lease.collected or lease.detached or lease.executing:
        return False
    if lease.owner.alive or lease.user.alive or lease.held_by == "living frame":
        return False
    return snapshot.final or min(lease.owner.ended_for, lease.user.ended_for) >= grace


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
                "Return it inside the block: poolwatch.fiber gives back what was forgotten, at its end and not before.",
            )
            yield replace(finding, state="resolved", resolution="returned by poolwatch.fiber at the end")


def process_ended(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """The process ended with the lease out: proved."""
    if not snapshot.final:
        return
    for lease in snapshot.leases:
        if not (lease.returned or lease.collected):
            yield of_lease(
                snapshot,
                lease,
                "leak.process_ended",
                "proved",
                f"Process {snapshot.process.pid} ended while {lease.user} still held a connection, taken "
                f"{seconds(lease.age_seconds)} before.",
                _END_HINTS.get(
                    lease.library, "Close what is open when the program ends, and call engine.dispose() last."
                ),
            )


def overdue(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Held longer than allowed and idle all that while: suspected."""
    for lease in snapshot.leases:
        if lease.returned or lease.collected or lease.executing or (lease.in_transaction and _sooner(config)):
            continue
        if lease.library in _KEPT_BY_DESIGN:
            continue
        if lease.idle_seconds >= config.overdue_after:
            yield of_lease(
                snapshot,
                lease,
                "leak.overdue",
                "suspected",
                f"{sentence(lease.user)} has held a connection for {seconds(lease.age_seconds)} and not used "
                f"it for {seconds(lease.idle_seconds)}.",
                "If the work is over, return the connection; if it waits for something else, return it before that.",
            )


def _sooner(config: Config) -> bool:
    """Tell whether an idle transaction is reported before an overdue lease, so that one lease is one finding."""
    return config.idle_in_transaction_after <= config.overdue_after
