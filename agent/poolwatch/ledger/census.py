"""Census: what there is at one moment and what it has done so far, counted by pool in one pass over the ledger.

There may be ten thousand connections, so each is looked at once, and what can be is added up column by column, in C.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain, groupby
from operator import attrgetter, methodcaller
from time import monotonic

from poolwatch.ledger.leases import Lease
from poolwatch.ledger.ledger import Ledger
from poolwatch.ledger.records import Conn, Site, Sums
from poolwatch.senses.sockets import Socket

_lent, _hand_offs = attrgetter("lent"), attrgetter("hand_offs")
_line, _kind, _taken = attrgetter("site"), attrgetter("owner.kind"), attrgetter("taken")
_used, _busy, _counts = map(attrgetter, ("used", "busy", "counts"))
_pool, _done, _values = attrgetter("pool.key"), attrgetter("sums"), methodcaller("values")


class Stock:
    """What one pool has, and what its living connections have done."""

    __slots__ = ("hand_offs", "held", "idle", "kinds", "lent", "lines", "oldest", "sockets", "sums")

    def __init__(self, conns: list[Conn]) -> None:
        self.lent: int = sum(map(_lent, conns))
        self.hand_offs: int = sum(map(_hand_offs, conns))
        self.sums = _sums(conns)
        self.idle = sum(conn.lease is None and conn.open for conn in conns)
        self.held = _held(conns)
        self.kinds = Counter(map(_kind, self.held))
        self.lines = Counter(map(_line, self.held))
        self.oldest: float = min(map(_taken, self.held), default=0.0)
        """When the oldest of them was taken; monotonic seconds."""
        self.sockets = _sockets(conns)


class Census:
    """The stock of each pool, by its key, at ``now`` (monotonic seconds), and what was detached from all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = monotonic()
        conns = sorted(ledger.conns.values(), key=_pool)
        self.stocks = {key: Stock(list(some)) for key, some in groupby(conns, _pool)}
        self.detached = list(ledger.detached.values())

    def out(self) -> list[Lease]:
        """Give the leases that are out, detached ones too."""
        return [*chain.from_iterable(stock.held for stock in self.stocks.values()), *self.detached]


def _held(conns: list[Conn]) -> list[Lease]:
    """Give what is out: detached connections are no longer the pool's, nor is what a fork's parent has out."""
    return [
        lease for conn in conns if (lease := conn.lease) is not None and not (lease.more.foreign or lease.more.detached)
    ]


def _sockets(conns: list[Conn]) -> list[Socket]:
    """Give the sockets of connections that are open; of those that came over a fork, the ones that were used here."""
    return [conn.socket for conn in conns if conn.socket.inode and conn.open and (conn.lent or not conn.foreign)]


def _sums(conns: list[Conn]) -> dict[Site, Sums]:
    # all in C, which the GIL makes whole: others give back meanwhile
    parts: list[Sums] = list(chain.from_iterable(map(_values, map(_done, conns))))
    sites = set(map(_line, parts))
    if len(sites) == 1:
        return {site: _added(site, parts) for site in sites}
    by_site: defaultdict[Site, list[Sums]] = defaultdict(list)
    for part in parts:
        by_site[part.site].append(part)
    return {site: _added(site, some) for site, some in by_site.items()}


def _added(site: Site, parts: list[Sums]) -> Sums:
    total = Sums(site)
    total.used = sum(map(_used, parts))
    total.busy = sum(map(_busy, parts))
    total.counts = list(map(sum, zip(*map(_counts, parts), strict=True)))
    return total


NOTHING = Stock([])
"""Stands for the stock of a pool that has no connection."""
