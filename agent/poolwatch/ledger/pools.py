"""Which pools and connections there are: kept by identity, and forgotten with the library's own objects."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from poolwatch.ledger.leases import Lease
from poolwatch.ledger.records import Conn, Pool, serial

QUEUE = 131_072
"""Entries kept for the watcher in each queue; the oldest beyond are lost."""
MOST_POOLS = 1000


class Home:
    """Where connections come from, and the pool they count for: a library's pool object, or what stands for one.

    One logical pool may have several, one after another, as SQLAlchemy makes a new object at each ``dispose()``.
    """

    __slots__ = ("pool", "ref", "serial")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.serial = serial()
        self.ref: Any = None
        """Weak, to what lives exactly as long as the pool object; None where the library has no such object."""


class Pools:
    """Pools and connections of this process."""

    def __init__(self) -> None:
        self.conns: dict[int, Conn] = {}
        """By id of the library's own record of the connection."""
        self.detached: dict[int, Lease] = {}
        """By id of the driver's connection."""
        self.retired: deque[Conn] = deque()
        self.pools: dict[int, Pool] = {}
        self.homes: dict[int, Home] = {}
        """By id of the library's pool object, of the pool itself where the library has none."""
        self.homeless: deque[tuple[int, int]] = deque(maxlen=QUEUE)
        """(id, serial) of pool objects that were thrown away; filled by finalizers."""
        self.dropped: dict[str, int] = {}

    def retire(self, conn: Conn) -> None:
        """Hand the sums of a connection that is gone to the watcher."""
        self.retired.append(conn)

    def pool_for(self, name: str, library: str, cls: str) -> Pool:
        """Give the entry for a pool seen for the first time.

        One that was thrown away and had the same name goes on in it, so that an engine per request is one pool;
        where one of that name lives, the new one is numbered.
        """
        self.forget_homeless()
        housed = self._housed()
        same = [
            pool for pool in list(self.pools.values()) if (pool.base, pool.library, pool.cls) == (name, library, cls)
        ]
        pool = next((pool for pool in same if pool.key not in housed), None)
        if pool is None:
            pool = Pool(self._unique(name), library, cls)
            pool.base = name
            self.pools[pool.key] = pool
        return pool

    def _unique(self, name: str) -> str:
        taken = {pool.name for pool in list(self.pools.values())}
        return next(unique for n in count(1) if (unique := name if n == 1 else f"{name}#{n}") not in taken)

    def _housed(self) -> set[int]:
        """Give the keys of logical pools that have a pool object, a connection or a lease."""
        housed = {home.pool.key for home in list(self.homes.values())}
        housed |= {conn.pool.key for conn in list(self.conns.values())}
        return housed | {lease.conn.pool.key for lease in list(self.detached.values())}

    def forget_homeless(self) -> None:
        """Drop the connections of pool objects that were thrown away; their pools' sums stay, within bounds."""
        while self.homeless:
            try:
                was, number = self.homeless.popleft()
            except IndexError:
                return
            if was in self.homes and self.homes[was].serial == number:
                self.homes.pop(was, None)
            for key, conn in list(self.conns.items()):
                if conn.home == number and conn.lease is None:
                    self.conns.pop(key, None)
                    self.retire(conn)
            self._forget_pools()

    def _forget_pools(self) -> None:
        if len(self.pools) > MOST_POOLS:
            housed = self._housed()
            for key in [key for key in list(self.pools) if key not in housed][: len(self.pools) - MOST_POOLS]:
                self.pools.pop(key, None)
                self.count_dropped("pools")

    def count_dropped(self, what: str) -> None:
        """Count what a limit has cost."""
        self.dropped[what] = self.dropped.get(what, 0) + 1
