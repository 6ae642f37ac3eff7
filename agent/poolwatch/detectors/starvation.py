"""Pools that have nothing left to lend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from poolwatch.config import Config
from poolwatch.detectors.facts import holder, owners, pool_facts, pool_of, seconds, sentence
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Json, Lease, PoolState, Site, Snapshot, Waiter, told_apart

_SETTLED = 0.4
"""A wait this old (seconds) is a standstill, not a short ``wait_for(pool.acquire(), …)`` that gives up."""


def self_deadlock(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Everybody who holds a connection of a pool waits for another one of it: proved."""
    for pool, out, waiters in _standstills(snapshot):
        holders, waiting = _apart(out, waiters)
        yield _about_pool(
            snapshot,
            pool,
            "starvation.self_deadlock",
            f"All {len(holders)} connections of the pool are held by those who wait for one more: each holds one and "
            "waits for the next."
            if len(holders) > 1
            else f"The pool's only connection is held by {holders[0].user}, who waits for one more"
            f"{_where(waiting, holders[0])}.",
            holders,
            waiting,
        )


def _where(waiting: list[Waiter], holder: Lease) -> str:
    site = next((waiter.site for waiter in waiting if waiter.owner.key == holder.user.key), None)
    return f" at {site}" if site else ""


def _standstills(snapshot: Snapshot) -> Iterator[tuple[str, list[Lease], list[Waiter]]]:
    seen = set()
    for pool, waiters in _by_pool(snapshot.waiters).items():
        for waiter in waiters:
            if waiter.timed_out and _standstill(snapshot, pool, waiter.holders, waiter.waiting_owners):
                seen.add(pool)
                yield pool, list(waiter.holders), waiters
                break
        waiting = [waiter for waiter in waiters if not waiter.done and waiter.waited_seconds > _SETTLED]
        holders = _holders(snapshot, pool, max((waiter.home for waiter in waiting), default=0))
        keys = [waiter.owner.key for waiter in waiting]
        if pool not in seen and waiting and _standstill(snapshot, pool, holders, keys):
            yield pool, holders, waiting


def _standstill(snapshot: Snapshot, pool: str, holders: Sequence[Lease], waiting: Sequence[int]) -> bool:
    """Tell whether a full pool is held only by those who wait for it, each still inside the call that holds."""
    state = pool_of(snapshot, pool)
    full = state is not None and state.limits.max is not None and len(holders) >= state.limits.max
    people = {lease.user.key for lease in holders}
    if len(people) < len(holders):
        return False  # somebody holds several: a leak or a greedy loop, which the holders' list shows better
    return full and all(lease.attached and not lease.collected and lease.user.key in waiting for lease in holders)


def exhausted(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Somebody timed out on an empty pool, or waits there too long: proved. Lists every holder."""
    deadlocked = {pool for pool, _, _ in _standstills(snapshot)}
    for pool, waiters in _by_pool(snapshot.waiters).items():
        starved = [w for w in waiters if w.timed_out or (not w.done and w.waited_seconds >= config.starved_after)]
        starved = [w for w in starved if not _blocks_itself(snapshot, w, config)]
        if not starved or pool in deadlocked:
            continue
        longest = max(starved, key=lambda waiter: waiter.waited_seconds)
        holders = list(longest.holders) or _holders(snapshot, pool, longest.home)
        if not holders and _has_none(pool_of(snapshot, pool)):
            continue
        holders, starved = _apart(sorted(holders, key=lambda lease: -lease.age_seconds), starved)
        longest = max(starved, key=lambda waiter: waiter.waited_seconds)
        timed_out = sum(waiter.timed_out for waiter in starved)
        outcome = f"{timed_out} timed out" if timed_out else "waits still"
        passed_by = _come_back(holders, longest)
        yield _about_pool(
            snapshot,
            pool,
            "starvation.exhausted",
            f"No connection was left for {longest.owner} after {seconds(longest.waited_seconds)} ({outcome}). "
            + (_say_passed_by(holders) if passed_by else _say_longest(holders)),
            holders,
            starved,
            longest.site,
            "they come back" if passed_by else "",
        )


def _has_none(state: PoolState | None) -> bool:
    """Tell whether a pool has no connection at all, so that nobody holds it up but the server.

    SQLAlchemy lets nobody wait for a first one. In a forked child what its parent had out takes the pool's places.
    """
    return state is not None and state.library != "sqlalchemy" and state.used + state.idle == 0


def _come_back(holders: list[Lease], waiter: Waiter) -> bool:
    """Tell whether all that is out was lent while ``waiter`` had waited for long: nothing is kept, others were served.

    A lease begins when its connect is over, so one that is little younger than the wait proves nothing.
    """
    return bool(holders) and all(
        lease.age_seconds < waiter.waited_seconds / 2 and not lease.collected for lease in holders
    )


def _say_passed_by(holders: list[Lease]) -> str:
    which = f"each of the {len(holders)} connections" if len(holders) > 1 else "the only connection"
    return f"Meanwhile {which} came back and went to somebody else. {_say_longest(holders)}"


def _say_longest(holders: list[Lease]) -> str:
    kept = [lease for lease in holders if not lease.collected]
    lost = len(holders) - len(kept)
    if kept:
        said = f"Held longest by {kept[0].user}: for {seconds(kept[0].age_seconds)}, from {kept[0].site}."
        return f"{said} Lost: {lost} more, dropped without being returned." if lost else said
    if not lost:
        return "No holder was seen."
    return f"All {lost} are lost: dropped without being returned, the last of them taken at {holders[-1].site}."


def blocked_loop(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """A blocking wait for a sync pool runs on an event loop's thread: proved."""
    for waiter in snapshot.waiters:
        if waiter.on_loop and waiter.waited_seconds >= config.blocked_loop_after:
            state = pool_of(snapshot, waiter.pool)
            yield Finding(
                kind="starvation.blocked_loop",
                grade="proved",
                pool=waiter.pool,
                library=state.library if state else "",
                summary=f"{sentence(waiter.owner)} waited {seconds(waiter.waited_seconds)} for a connection of a "
                "sync pool on the event loop's thread: nothing else could run there meanwhile.",
                hint=hint("starvation.blocked_loop"),
                site=waiter.site,
                owners=(waiter.owner,),
                stacks={"current": waiter.stack},
                lease={"pool": pool_facts(state)} if state else {},
                subjects=frozenset({waiter.id}),
            )


def _blocks_itself(snapshot: Snapshot, waiter: Waiter, config: Config) -> bool:
    """Tell whether a blocked loop's own tasks hold the pool: then the blocked loop is the finding."""
    if not waiter.on_loop or waiter.waited_seconds < config.blocked_loop_after:
        return False
    holders = waiter.holders or _holders(snapshot, waiter.pool, waiter.home)
    return any(lease.user.thread_id == waiter.owner.thread_id for lease in holders)


def _about_pool(
    snapshot: Snapshot,
    pool: str,
    kind: str,
    summary: str,
    holders: list[Lease],
    waiters: list[Waiter],
    waiting_at: Site | None = None,
    case: str = "",
) -> Finding:
    state = pool_of(snapshot, pool)
    facts: Json = {"pool": pool_facts(state)} if state else {}
    facts["holders"] = [holder(lease) for lease in holders]
    facts["waiters"] = [
        {"owner": str(w.owner), "waited_seconds": w.waited_seconds, "timed_out": w.timed_out, "site": str(w.site)}
        for w in waiters
    ]
    return Finding(
        kind=kind,
        grade="proved",
        pool=pool,
        library=state.library if state else "",
        summary=summary,
        hint=hint(kind, case),
        site=holders[0].site if holders else waiting_at,
        owners=owners(*(lease.user for lease in holders)),
        lease=facts,
        subjects=frozenset(w.id for w in waiters),
    )


def _apart(holders: list[Lease], waiters: list[Waiter]) -> tuple[list[Lease], list[Waiter]]:
    """Give both with the names by which those who hold and those who wait are told apart."""
    people = iter(told_apart(*(lease.user for lease in holders), *(waiter.owner for waiter in waiters)))
    held = [replace(lease, user=next(people)) for lease in holders]
    return held, [replace(waiter, owner=next(people)) for waiter in waiters]


def _holders(snapshot: Snapshot, pool: str, home: int) -> list[Lease]:
    held = (lease for lease in snapshot.leases if lease.pool == pool and not lease.returned and not lease.detached)
    return [lease for lease in held if home in (0, lease.home)]


def _by_pool(waiters: Iterable[Waiter]) -> dict[str, list[Waiter]]:
    found: dict[str, list[Waiter]] = defaultdict(list)
    for waiter in waiters:
        found[waiter.pool].append(waiter)
    return found
