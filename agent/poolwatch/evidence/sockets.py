"""The sockets of this process beside those of its pools: to a pool's server without a pool, or dead inside one.

Nothing is claimed where it could be wrong: not of sockets that were there before the watch (or came over a fork), not
of one that a connect under way may be about to hand to its pool, not of one that was detached and handed on, and of
none while the socket of any pooled connection is not known; nor of one that died while it lay in a pool which tests
what it lends. Reading what the system knows of sockets costs more the more the host has: it is done every twenty
intervals, and less often where that would take more than a hundredth of a processor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import thread_time
from typing import Any

from poolwatch.config import Config
from poolwatch.host.guard import Guard
from poolwatch.ledger import Conn, Ledger, Pool
from poolwatch.ledger.detached import handed_on
from poolwatch.model import SuspectSocket
from poolwatch.senses import sockets

_HOOK = "sockets"
_POOL_HOOKS = {"sqlalchemy", "psycopg_pool", "asyncpg"}
"""Where one of them is out, the sockets of its pools look like nobody's."""
_DESCRIPTORS = "/proc/self/fd"
_INTERVALS = 20
_SHARE = 100
_LOOKS = 3
"""Looks in a row that must see the same: what is being opened or closed is gone by then."""
_MOST_PEERS = 16
_MAPPED = "::ffff:"


@dataclass(frozen=True, slots=True)
class _Row:
    """One TCP socket of this process that has a peer."""

    inode: int
    fd: int
    local: str
    peer: str
    state: str


@dataclass(slots=True)
class _Sight:
    since: float
    looks: int = 0


class Sockets:
    """Looks at this process's sockets; ``suspects`` is what the latest look has found."""

    def __init__(self, config: Config, guard: Guard) -> None:
        self._guard = guard
        self._all_hooks = "all" in config.hooks or set(config.hooks) >= _POOL_HOOKS
        self._pause = _INTERVALS * config.interval
        self._due = 0.0
        self._before: frozenset[int] = frozenset()
        self._sights: dict[tuple[int, bool], _Sight] = {}
        self.suspects: tuple[SuspectSocket, ...] = ()
        self._guarded(self._begin)

    def _begin(self) -> None:
        if os.path.isdir(_DESCRIPTORS):
            self._before = frozenset(_open().values())
        else:
            self._due = float("inf")  # not Linux: no number that tells sockets apart

    def look(self, ledger: Ledger, now: float, last: bool = False) -> None:
        """Look, where it is time to, ``now`` being monotonic; never raises.

        The ``last`` look sees whether what is suspected is still so.
        """
        if (now >= self._due or (last and self.suspects)) and not self._guard.is_out(_HOOK):
            self._due = now + self._pause
            self._guarded(lambda: self._look(ledger, now))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # no /proc, say
            self._guard.failed(_HOOK, error)

    def _look(self, ledger: Ledger, now: float) -> None:
        conns = _conns(ledger)
        if not any(conn.socket.inode for conn in conns):
            self.suspects = ()
            return
        import psutil  # not counted as what a look costs

        began = thread_time()
        descriptors = _open()
        rows = _rows(descriptors, psutil.Process())
        _tell(conns, rows)
        blind = not self._all_hooks or bool(self._guard.errors) or _blind(conns, set(descriptors.values()))
        self._judge(ledger, conns, rows, now, blind)
        self._due = now + max(self._pause, _SHARE * (thread_time() - began))

    def _judge(self, ledger: Ledger, conns: list[Conn], rows: list[_Row], now: float, blind: bool) -> None:
        pooled = {conn.socket.inode: conn for conn in conns if not conn.foreign}
        known = self._before | {conn.socket.inode for conn in conns} | handed_on()
        servers = {peer: pool for pool in reversed(list(ledger.pools.values())) for peer in pool.peers}
        connecting = min(list(ledger.connecting.values()), default=float("inf"))
        sights, self._sights = self._sights, {}
        suspects = []
        for row in rows:
            dead = row.state == "CLOSE_WAIT" and row.inode in pooled and _matters(pooled[row.inode])
            stray = row.state == "ESTABLISHED" and row.inode not in known and row.peer in servers
            if dead or stray:
                sight = self._sights[row.inode, dead] = sights.get((row.inode, dead)) or _Sight(now)
                sight.looks += dead or (not blind and sight.since < connecting)
                if sight.looks >= _LOOKS:
                    conn = pooled[row.inode] if dead else None
                    pool = servers[row.peer] if conn is None else conn.pool
                    suspects.append(_suspect(row, pool, conn, now - sight.since))
        self.suspects = tuple(suspects)


def _matters(conn: Conn) -> bool:
    """Tell whether somebody may get a connection that is dead: a pool that tests what it lends replaces it first."""
    return conn.lease is not None or not conn.pool.tests


def _suspect(row: _Row, pool: Pool, conn: Conn | None, seconds: float) -> SuspectSocket:
    in_use = conn is not None and conn.lease is not None
    where = (row.fd, row.inode, row.local, row.peer, row.state)
    return SuspectSocket(pool.name, pool.library, conn is not None, *where, seconds, in_use)


def _conns(ledger: Ledger) -> list[Conn]:
    detached = [lease.conn for lease in list(ledger.detached.values())]
    return [*list(ledger.conns.values()), *detached]


def _tell(conns: Iterable[Conn], rows: Iterable[_Row]) -> None:
    """Tell connections where their sockets lead, and pools which servers they speak to."""
    by_inode = {row.inode: row for row in rows}
    for conn in conns:
        row = by_inode.get(conn.socket.inode)
        if row is not None:
            conn.socket.local = row.local
            if row.peer not in conn.pool.peers and len(conn.pool.peers) < _MOST_PEERS:
                conn.pool.peers = (*conn.pool.peers, row.peer)


def _blind(conns: Iterable[Conn], inodes: set[int]) -> bool:
    """Tell whether some pooled connection may speak through a socket that is not known to be its own.

    That is so where the driver does not show it, and where the one it had is gone: some drivers reconnect unasked.
    """
    for conn in conns:
        if conn.open and not conn.foreign and not (conn.lease is not None and conn.lease.collected):
            unknown = conn.socket is sockets.UNKNOWN
            if unknown or (conn.socket.inode and conn.socket.inode not in inodes):
                return True
    return False


def _open() -> dict[int, int]:
    """Give the inode of each socket that this process has open, by file descriptor."""
    found = {}
    for name in os.listdir(_DESCRIPTORS):
        try:
            kind, _, rest = os.readlink(f"{_DESCRIPTORS}/{name}").partition(":[")
        except OSError:  # closed meanwhile
            continue
        if kind == "socket":
            found[int(name)] = int(rest[:-1])
    return found


def _rows(descriptors: dict[int, int], process: Any) -> list[_Row]:
    read = getattr(process, "net_connections", None) or process.connections  # psutil 5 has the other name
    return [
        _Row(descriptors[found.fd], found.fd, _address(found.laddr), _address(found.raddr), found.status)
        for found in read("tcp")
        if found.raddr and found.fd in descriptors
    ]


def _address(address: Any) -> str:
    host = address.ip.removeprefix(_MAPPED)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"
