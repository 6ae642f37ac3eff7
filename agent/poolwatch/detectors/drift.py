"""Numbers that only ever rise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import holder, owners, pool_facts, seconds
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Lease, PoolState, Site, Snapshot, plain

_MOST_HOLDERS = 20
_ALWAYS_THE_SAME = frozenset({0})
"""It is about a pool, not about a lease: a look that sees it again sees no more."""


def rising_floor(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Ever more connections lie out unused, window after window, taken meanwhile and not returned: suspected."""
    for pool in snapshot.pools:
        if len(pool.floors) < config.floor_steps:
            continue
        kept = _kept(snapshot, pool, config)
        if len(kept) >= config.floor_steps - 1:
            yield _finding(snapshot, pool, kept, config)


def _kept(snapshot: Snapshot, pool: PoolState, config: Config) -> list[Lease]:
    """Give what lies unused and was taken since the rise began, the oldest first; what was held before is no rise."""
    longest = snapshot.at - pool.floors[0].at + config.floor_window
    lying = (lease for lease in snapshot.leases if lease.pool == pool.name and _lies_unused(lease, config))
    return sorted((lease for lease in lying if lease.age_seconds <= longest), key=lambda lease: -lease.age_seconds)


def _lies_unused(lease: Lease, config: Config) -> bool:
    if lease.returned or lease.collected or lease.detached or lease.executing:
        return False
    return lease.idle_seconds >= config.floor_window


def _finding(snapshot: Snapshot, pool: PoolState, kept: list[Lease], config: Config) -> Finding:
    first, last = pool.floors[0], pool.floors[-1]
    sites = Counter(lease.site for lease in kept if lease.site).most_common()
    return Finding(
        kind="drift.rising_floor",
        grade="suspected",
        pool=pool.name,
        library=pool.library,
        summary=f"The connections that lie out unused have become more {len(pool.floors) - 1} times and never fewer, "
        f"from {first.unused} to {last.unused} in {seconds(last.at - first.at)}{_forecast(pool)}.",
        hint=hint("drift.rising_floor") + _others(sites),
        site=sites[0][0] if sites else None,
        owners=owners(*(lease.user for lease in kept[:_MOST_HOLDERS])),
        lease={
            "pool": pool_facts(pool),
            "floors": plain(pool.floors),
            "holders": [holder(lease) for lease in kept[:_MOST_HOLDERS]],
        },
        subjects=_ALWAYS_THE_SAME,
    )


def _forecast(pool: PoolState) -> str:
    """Say when nothing is left, where the pool has an end."""
    first, last = pool.floors[0], pool.floors[-1]
    if pool.limits.max is None or last.at <= first.at:
        return ""
    left = (pool.limits.max - last.unused) * (last.at - first.at) / (last.unused - first.unused)
    return f": the pool of {pool.limits.max} will be dry in {seconds(max(left, 0.0))} at this rate"


def _others(sites: list[tuple[Site, int]]) -> str:
    more = ", ".join(f"{site} ({count})" for site, count in sites[1:4])
    return f" Also at: {more}." if more else ""
