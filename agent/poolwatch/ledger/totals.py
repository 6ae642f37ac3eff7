"""Sums: what the watcher counts from what the hooks queued. One reader at a time, under the watcher's lock."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field, replace
from operator import add
from time import monotonic, time
from typing import Any

from poolwatch import model
from poolwatch.ledger.census import Census, Stock
from poolwatch.ledger.floors import Floors, Step
from poolwatch.ledger.flows import Flows
from poolwatch.ledger.leases import Lease
from poolwatch.ledger.ledger import Ledger
from poolwatch.ledger.records import BOUNDS, Conn, Event, Site, Sums, Wait
from poolwatch.senses.flow import Trace, is_sampled


class Sum:
    """A histogram being filled."""

    __slots__ = ("counts", "exemplars", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.exemplars: dict[int, tuple[float, float, Trace]] = {}
        """By bucket, the latest: seconds, when (monotonic) and in which trace."""

    def add(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def exemplify(self, began: float, ended: float, trace: Trace | None) -> None:
        """Keep what was measured in a trace, if that is sampled; monotonic seconds."""
        if is_sampled(trace):
            self.exemplars[bisect_left(BOUNDS, ended - began)] = ended - began, ended, trace

    def copy(self) -> Sum:
        """Give a Sum of the same values."""
        other = Sum()
        other.counts, other.total, other.exemplars = list(self.counts), self.total, dict(self.exemplars)
        return other

    def frozen(self, instant: int = 0) -> model.Histogram:
        """Give the cumulative histogram, with ``instant`` more values of zero."""
        running, buckets = instant, []
        for bound, number in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            running += number
            buckets.append((bound, running))
        latest = tuple(_exemplar(*exemplar) for exemplar in self.exemplars.values())
        return model.Histogram(tuple(buckets), self.total, running, latest)


def _exemplar(value: float, at: float, trace: Trace) -> model.Exemplar:
    return model.Exemplar(value, f"{trace.trace_id:032x}", f"{trace.span_id:016x}", time() - (monotonic() - at))


@dataclass(slots=True)
class PoolSums:
    """What a pool has done since install."""

    lent: int = 0
    hand_offs: int = 0
    timeouts: int = 0
    waits: Sum = field(default_factory=Sum)
    uses: Sum = field(default_factory=Sum)
    creates: Sum = field(default_factory=Sum)
    floors: tuple[Step, ...] = ()


Sites = dict[tuple[int, Site], Sums]
"""What each site has cost each pool (by key)."""


LONG_HOLD = 0.5
"""Mean hold (seconds) of a site that a detector looks at."""


@dataclass(slots=True)
class News:
    """What happened since the last look."""

    returned: list[Lease] = field(default_factory=list)
    collected: list[Lease] = field(default_factory=list)
    waited: list[Wait] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Totals:
    """Sums per pool and per (pool, site): of connections that are gone, with the living ones' added when asked."""

    def __init__(self, floor_window: float) -> None:
        self._gone: dict[int, PoolSums] = {}
        self._sites: Sites = {}
        self._news = News()
        self.flows = Flows()
        self.floors = Floors(floor_window, monotonic())

    def take_news(self) -> News:
        """Give what was drained since the last call and detectors have not seen."""
        news, self._news = self._news, News()
        return news

    def drain(self, ledger: Ledger) -> None:
        """Empty the ledger's queues into the sums, and keep as news what detectors need to see."""
        news = self._news
        ledger.count_full_queues()
        for conn in taken(ledger.retired):
            _add(conn, conn.pool.key, _of(self._gone, conn.pool.key), self._sites)
        for wait in taken(ledger.waited):
            if wait.owner.is_own():
                continue
            self._waited(wait)
            self.flows.waited(wait)
            news.waited.append(wait)
        for pool, seconds in taken(ledger.opened):
            _of(self._gone, pool.key).creates.add(seconds)
        for lease in taken(ledger.notable):
            self.flows.returned(lease)
            if lease.trace is not None and not lease.more.foreign:
                _of(self._gone, lease.conn.pool.key).uses.exemplify(lease.taken, lease.returned, lease.trace)
            news.returned.append(lease)
        self.flows.settle()
        # the queue is the process's: what an earlier, uninstalled watch had seen lent is not this one's to tell of
        news.collected.extend(
            lease for lease in taken(ledger.gone) if lease.collected and lease.conn.pool.key in ledger.pools
        )
        news.events.extend(taken(ledger.events))

    def now(self, census: Census) -> tuple[dict[int, PoolSums], Sites]:
        """Give the sums as they are now, with those of the living connections in ``census``."""
        pools = {key: _copy(sums) for key, sums in self._gone.items()}
        sites = {key: plus(Sums(key[1]), sums) for key, sums in self._sites.items()}
        for key, stock in census.stocks.items():
            _add(stock, key, _of(pools, key), sites)
        for lease in census.detached:
            _add(lease.conn, lease.conn.pool.key, _of(pools, lease.conn.pool.key), sites)
        for key in self.floors.steps.keys() & pools.keys():
            pools[key].floors = self.floors.steps[key]
        return pools, sites

    def _waited(self, wait: Wait) -> None:
        sums = _of(self._gone, wait.pool.key)
        sums.timeouts += wait.timed_out
        if not wait.timed_out:
            sums.waits.add(wait.until - wait.since)
            sums.waits.exemplify(wait.since, wait.until, wait.trace)


def _of(table: dict[int, PoolSums], key: int) -> PoolSums:
    sums = table.get(key)
    if sums is None:
        sums = table[key] = PoolSums()
    return sums


def _add(done: Conn | Stock, key: int, pool: PoolSums, sites: Sites) -> None:
    """Add what a connection, or all those of a stock, have done for the pool of that ``key``."""
    pool.lent += done.lent
    pool.hand_offs += done.hand_offs
    for site, sums in list(done.sums.items()):
        pool.uses.total += sums.used
        pool.uses.counts = list(map(add, pool.uses.counts, sums.counts))
        plus(sites.get((key, site)) or sites.setdefault((key, site), Sums(site)), sums)


def plus(into: Sums, more: Sums) -> Sums:
    """Add the numbers of a site to another's."""
    into.counts = list(map(add, into.counts, more.counts))
    into.used += more.used
    into.busy += more.busy
    return into


def _copy(sums: PoolSums) -> PoolSums:
    return replace(sums, waits=sums.waits.copy(), uses=sums.uses.copy(), creates=sums.creates.copy())


def taken(queue: deque[Any]) -> Any:
    """Give what is in a queue, from the left, until it is empty."""
    while True:
        try:
            yield queue.popleft()
        except IndexError:
            return


def long_held(sites: Sites) -> Sites:
    """Give the sites that hold their connections for long, the only ones a detector has something to say of."""
    return {key: sums for key, sums in sites.items() if sums.used > sums.returned * LONG_HOLD}
