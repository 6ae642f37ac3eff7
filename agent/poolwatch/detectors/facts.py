"""What every finding about a lease says of it."""

from __future__ import annotations

from poolwatch.model import Finding, Grade, Json, Lease, Owner, PoolState, Snapshot, plain


def of_lease(snapshot: Snapshot, lease: Lease, kind: str, grade: Grade, summary: str, hint: str) -> Finding:
    """Build a finding about one lease."""
    return Finding(
        kind=kind,
        grade=grade,
        pool=lease.pool,
        library=lease.library,
        summary=summary,
        hint=hint,
        site=lease.site,
        owners=owners(lease.owner, lease.user),
        lease=lease_facts(snapshot, lease),
        retained_by=lease.retained_by,
        subjects=frozenset({lease.id}),
    )


def owners(*people: Owner) -> tuple[Owner, ...]:
    """Give each owner once, in order."""
    return tuple({person.key: person for person in people}.values())


def lease_facts(snapshot: Snapshot, lease: Lease) -> Json:
    """Give the facts of a lease and its pool that a maintainer asks for next."""
    pool = pool_of(snapshot, lease.pool)
    return {
        "id": lease.id,
        "age_seconds": lease.age_seconds,
        "idle_seconds": lease.idle_seconds,
        "busy_seconds": lease.busy_seconds,
        "statements": lease.statements,
        "last_statement": lease.last_statement,
        "in_transaction": lease.in_transaction,
        "backend_pid": lease.backend_pid,
        "detached": lease.detached,
        "session": lease.session,
        "pool": pool_facts(pool) if pool else {},
        "versions": dict(snapshot.process.versions),
    }


def pool_facts(pool: PoolState) -> Json:
    """Give the state of a pool as a finding quotes it."""
    return {
        "class": pool.cls,
        "limits": plain(pool.limits),
        "used": pool.used,
        "idle": pool.idle,
        "waiting": pool.waiting,
        "timeouts_total": pool.timeouts_total,
    }


def holder(lease: Lease) -> Json:
    """Give who holds a lease and how, as one line of a list of holders."""
    return {
        "owner": str(lease.user),
        "scope": lease.user.scope,
        "alive": lease.user.alive,
        "site": str(lease.site),
        "age_seconds": lease.age_seconds,
        "idle_seconds": lease.idle_seconds,
        "statements": lease.statements,
    }


def pool_of(snapshot: Snapshot, name: str) -> PoolState | None:
    """Find a pool's state by name."""
    return next((pool for pool in snapshot.pools if pool.name == name), None)


def sentence(owner: Owner) -> str:
    """Name an owner at the beginning of a sentence."""
    text = str(owner)
    return text[0].upper() + text[1:]


def seconds(value: float) -> str:
    """Say a duration in a few characters."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
