"""Connections that are held without being used."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, pool_facts, seconds, sentence
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, SiteTotals, Snapshot

_LEASES = 20
_LONG_HOLD = 1.0
"""Mean hold (seconds) below which nobody else waits long for what a site keeps idle."""
_BUSY_SHARE = 0.05
_ALWAYS_THE_SAME = frozenset({0})
"""It is about a site, not about a lease: a look that sees it again sees no more."""


def idle_in_transaction(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A transaction is open and nothing has run for too long: suspected."""
    for lease in snapshot.leases:
        if lease.returned or lease.executing or not lease.in_transaction:
            continue
        if lease.idle_seconds >= config.idle_in_transaction_after:
            yield of_lease(
                snapshot,
                lease,
                "hold.idle_in_transaction",
                "suspected",
                f"{sentence(lease.user)} keeps a transaction open and has run nothing for "
                f"{seconds(lease.idle_seconds)}.",
                hint("hold.idle_in_transaction"),
            )


def idle(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A site holds its connections mostly without using them, over many leases: suspected."""
    for totals in snapshot.sites:
        if totals.site is None or not _mostly_idle(totals):
            continue
        mean = totals.use_seconds_total / totals.checkouts_total
        share = totals.busy_seconds_total / totals.use_seconds_total
        pool = next((pool for pool in snapshot.pools if pool.name == totals.pool), None)
        yield Finding(
            kind="hold.idle",
            grade="suspected",
            pool=totals.pool,
            library=pool.library if pool else "",
            summary=f"{totals.checkouts_total} connections taken here were held {seconds(mean)} on average, and "
            f"executed SQL for {share:.1%} of that time.",
            hint=hint("hold.idle"),
            site=totals.site,
            lease={"pool": pool_facts(pool)} if pool else {},
            subjects=_ALWAYS_THE_SAME,
        )


def _mostly_idle(totals: SiteTotals) -> bool:
    held = totals.use_seconds_total
    if totals.checkouts_total < _LEASES or held < _LONG_HOLD * totals.checkouts_total:
        return False
    return totals.busy_seconds_total < _BUSY_SHARE * held
