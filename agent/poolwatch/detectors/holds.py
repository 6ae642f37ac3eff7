"""Connections that are held without being used."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import of_lease, pool_facts, pool_of, seconds, sentence
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, PoolState, ScopeTotals, SiteTotals, Snapshot

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
    """A site holds its connections mostly without using them, over many leases, and others lack them: suspected."""
    for totals in snapshot.sites:
        if totals.site is None or not _mostly_idle(*_of_site(totals)):
            continue
        mean = totals.use_seconds_total / totals.checkouts_total
        share = totals.busy_seconds_total / totals.use_seconds_total
        pool = pool_of(snapshot, totals.pool)
        why = _why(snapshot, totals, pool)
        if why is None:
            continue
        yield Finding(
            kind="hold.idle",
            grade="suspected",
            pool=totals.pool,
            library=pool.library if pool else "",
            summary=f"{totals.checkouts_total} connections taken here were held {seconds(mean)} on average, and "
            f"executed SQL for {share:.1%} of that time{why}.",
            hint=hint("hold.idle"),
            site=totals.site,
            lease={"pool": pool_facts(pool)} if pool else {},
            subjects=_ALWAYS_THE_SAME,
        )


def _why(snapshot: Snapshot, totals: SiteTotals, pool: PoolState | None) -> str | None:
    """Say what makes holding a fault; None where owners may have kept a connection each for as long as they live.

    That is their right where the pool has enough for all. Of requests and jobs there may be any number at once.
    """
    scope = next((scope for scope in snapshot.scopes if _mostly_idle(*_of_scope(scope))), None)
    if scope is not None:
        return f", as were those that {scope.name} took"
    if pool is None:
        return None
    if pool.timeouts_total:
        return f"; waits for the pool have timed out meanwhile: {pool.timeouts_total}"
    if pool.wait_seconds.sum * totals.checkouts_total >= totals.use_seconds_total:
        return f"; others have waited {seconds(pool.wait_seconds.sum)} for the pool meanwhile"
    made = max(pool.connects_total, pool.used + pool.idle)
    return f"; the pool has only {made} to lend, again and again" if totals.checkouts_total > made else None


def _of_site(totals: SiteTotals) -> tuple[int, float, float]:
    return totals.checkouts_total, totals.use_seconds_total, totals.busy_seconds_total


def _of_scope(totals: ScopeTotals) -> tuple[int, float, float]:
    return totals.leases_total, totals.use_seconds_total, totals.busy_seconds_total


def _mostly_idle(leases: int, held: float, busy: float) -> bool:
    return leases >= _LEASES and held >= _LONG_HOLD * leases and busy < _BUSY_SHARE * held
