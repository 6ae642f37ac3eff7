"""Freeze the ledger into model values: what detectors, exporters and people see."""

from __future__ import annotations

import os
from collections import Counter
from time import time

from poolwatch import model
from poolwatch.ledger.census import NOTHING, Census, Stock
from poolwatch.ledger.leases import Lease
from poolwatch.ledger.ledger import Ledger
from poolwatch.ledger.records import NOWHERE, Event, Pool, Site, Sums, Wait
from poolwatch.ledger.redact import redact
from poolwatch.ledger.totals import PoolSums, Sites, plus
from poolwatch.senses import driver, stack
from poolwatch.senses.actors import Actor
from poolwatch.senses.flow import Scope, Trace, traceparent


def owner(actor: Actor, now: float, scope: Scope | None = None, trace: Trace | None = None) -> model.Owner:
    """Freeze an actor; ``now`` is monotonic."""
    ended = actor.has_ended()
    return model.Owner(
        pid=os.getpid(),
        thread=actor.thread.rename(),
        kind=actor.kind,
        thread_id=actor.thread_id,
        task=actor.rename() if actor.kind == "task" else None,
        greenlet=actor.rename() if actor.kind == "greenlet" else None,
        loop=actor.loop.name if actor.loop else None,
        scope=scope.name if scope else None,
        scope_attributes=scope.said() if scope else None,
        trace_id=f"{trace.trace_id:032x}" if trace else None,
        traceparent=traceparent(trace) if trace else None,
        alive=not ended,
        ended_for=max(0.0, now - actor.ended) if ended else 0.0,
        key=actor.key,
    )


def lease(raw: Lease, now: float, state: driver.State = driver.UNKNOWN) -> model.Lease:
    """Freeze one lease; ages are measured at ``now`` or at its return, and ``state`` is what its driver has said."""
    conn = raw.conn
    user = raw.user
    until = raw.returned or raw.collected or now
    where = raw.site
    more = raw.more
    who = user_now = owner(raw.owner, now, more.scope, raw.trace)
    if user is not raw.owner:
        who, user_now = model.told_apart(who, _user(raw, now))
    over = more.scope.over_since(raw.taken) if more.scope is not None else 0.0
    executing = conn.inside is not None and not raw.returned
    return model.Lease(
        id=raw.id,
        pool=conn.pool.name,
        library=conn.pool.library,
        owner=who,
        user=user_now,
        age_seconds=max(0.0, until - raw.taken),
        idle_seconds=0.0 if executing else max(0.0, until - raw.used),
        site=stack.site(where.code, where.offset) if where.code else None,
        statements=raw.statements,
        busy_seconds=raw.busy,
        executing=executing,
        last_statement=redact(raw.statement, conn.pool.system) if raw.statement else None,
        in_transaction=state.in_transaction,
        backend_pid=state.backend_pid,
        detached=more.detached,
        collected=bool(raw.collected),
        session=raw.session,
        shared=conn.pool.shared,
        home=conn.home,
        attached=raw.strand() is not None,
        returned=bool(raw.returned),
        remedy=more.remedy,
        scope_ended_for=max(0.0, until - over) if over else 0.0,
        scope_must_return=more.scope is not None and more.scope.must_be_back(),
        passed_on=more.trail is not None and more.trail.passed_on,
    )


def _user(raw: Lease, now: float) -> model.Owner:
    trail = raw.more.trail
    return owner(raw.user, now, trail.flow if trail else raw.more.scope, trail.trace if trail else raw.trace)


def waiter(raw: Wait, now: float) -> model.Waiter:
    """Freeze one wait, over or not."""
    return model.Waiter(
        pool=raw.pool.name,
        owner=owner(raw.owner, now, trace=raw.trace),
        waited_seconds=(raw.until or now) - raw.since,
        id=raw.id,
        on_loop=raw.on_loop,
        home=raw.home,
        timed_out=raw.timed_out,
        done=bool(raw.until),
        site=stack.site_of(raw.stack),
        stack=stack.frames(raw.stack),
        holders=tuple(lease(held, raw.until or now) for held in raw.holders),
        waiting_owners=tuple(actor.key for actor in raw.waiting),
    )


def incident(event: Event, now: float) -> model.Incident:
    """Freeze one crossing."""
    held = lease(event.lease, now, event.state) if event.lease is not None else None
    victim, culprit = model.told_apart(
        owner(event.victim, now, event.scopes[0], _trace(event, event.victim)),
        owner(event.culprit, now, event.scopes[1], _trace(event, event.culprit)),
    )
    return model.Incident(
        kind=event.kind,  # type: ignore[arg-type]
        lease=held,
        pool=event.pool.name,
        library=event.pool.library,
        victim=victim,
        culprit=culprit,
        at=time() - (now - event.at),
        overlap=event.overlap,
        site=(held.site if held else None) or stack.site_of(event.victim_stack),
        victim_stack=stack.frames(event.victim_stack),
        culprit_stack=stack.frames(event.culprit_stack),
        detail=event.detail,
    )


def _trace(event: Event, actor: Actor) -> Trace | None:
    """Give the trace of whoever took the lease; of others it is not known."""
    return event.lease.trace if event.lease is not None and event.lease.owner is actor else None


def pools(ledger: Ledger, census: Census, sums: dict[int, PoolSums]) -> tuple[model.PoolState, ...]:
    """Freeze every pool, as it was at the census."""
    waiting = Counter(wait.pool.key for wait in list(ledger.waits.values()))
    stocks, now = census.stocks, census.now
    return tuple(
        _pool(pool, stocks.get(pool.key, NOTHING), sums.get(pool.key) or PoolSums(), waiting[pool.key], now)
        for pool in list(ledger.pools.values())
        if not ledger.child or _used_here(pool, ledger, sums)
    )


def _used_here(pool: Pool, ledger: Ledger, sums: dict[int, PoolSums]) -> bool:
    """Tell whether a forked child has done anything with a pool that it inherited."""
    total = sums.get(pool.key)
    if total is not None and (total.lent or total.timeouts or sum(total.creates.counts)):
        return True
    return any(wait.pool is pool for wait in list(ledger.waits.values()))


def _pool(pool: Pool, stock: Stock, sums: PoolSums, waiting: int, now: float) -> model.PoolState:
    slow = sum(sums.waits.counts)
    return model.PoolState(
        name=pool.name,
        library=pool.library,
        cls=pool.cls,
        pid=os.getpid(),
        limits=model.Limits(*pool.limits),
        used=len(stock.held),
        idle=stock.idle,
        waiting=waiting,
        shared=pool.shared,
        checkouts_total=sums.lent,
        timeouts_total=sums.timeouts,
        hand_offs_total=sums.hand_offs,
        connects_total=sum(sums.creates.counts),
        wait_seconds=sums.waits.frozen(instant=max(0, sums.lent - slow)),
        use_seconds=sums.uses.frozen(),
        create_seconds=sums.creates.frozen(),
        leases_by_owner=dict(stock.kinds),
        oldest_lease_seconds=now - stock.oldest if stock.held else 0.0,
        peers=pool.peers,
        sockets=tuple(model.PoolSocket(socket.inode, socket.local) for socket in stock.sockets),
        floors=tuple(model.Floor(time() - (now - at), unused) for at, unused in sums.floors),
        twin_of=pool.base if pool.base != pool.name else None,
    )


def sites(ledger: Ledger, census: Census, sums: Sites, most: int) -> tuple[model.SiteTotals, ...]:
    """Freeze the sums per site, the costliest first; those beyond ``most`` and without a line are one per pool.

    As many more are listed for what they hold now: a line that leaks has cost nothing until its leases come back.
    """
    names = {pool.key: pool.name for pool in list(ledger.pools.values())}
    held = _held(census)
    rest: dict[str, Sums] = {}
    rest_held: Counter[str] = Counter()
    listed: list[model.SiteTotals] = []
    for (key, where), total in sorted(sums.items(), key=lambda item: -item[1].used):
        name = names.get(key, "(gone)")
        if where.code is not None and len(listed) < most:
            listed.append(_site(name, where, total, held.pop((key, where), 0)))
        else:
            plus(rest.setdefault(name, Sums(NOWHERE)), total)
    for (key, where), many in held.most_common():
        name = names.get(key, "(gone)")
        if where.code is not None and len(listed) < 2 * most:
            listed.append(_site(name, where, Sums(where), many))
        else:
            rest.setdefault(name, Sums(NOWHERE))
            rest_held[name] += many
    return (*listed, *(_site(name, NOWHERE, total, rest_held[name]) for name, total in rest.items()))


def _held(census: Census) -> Counter[tuple[int, Site]]:
    """Count what is out of each pool (by key) for each site that is counted."""
    found: Counter[tuple[int, Site]] = Counter()
    for key, stock in census.stocks.items():
        for line, many in stock.lines.items():
            found[key, line.counted or line] += many
    return found


def _site(pool: str, where: Site, sums: Sums, held: int) -> model.SiteTotals:
    site = stack.site(where.code, where.offset) if where.code is not None else None
    return model.SiteTotals(pool, site, sums.returned, sums.used, sums.busy, held)
