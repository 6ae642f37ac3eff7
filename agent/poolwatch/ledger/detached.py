"""Connections taken out of their pool with ``detach()``: closed, forgotten, or handed on to somebody.

To take the driver's own connection out of the library is what ``detach()`` is for: once its proxy is gone, the one
question is whether anybody still has that connection. Where the proxy was the last to have it, and it was open, it was
forgotten. Where somebody has it, it is his; whether he closes it before he lets it go, nobody can tell afterwards.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import Any

from poolwatch.host.guard import Guard
from poolwatch.host.native import get_ident
from poolwatch.ledger.leases import Lease
from poolwatch.ledger.ledger import Ledger
from poolwatch.senses import driver

Instant = tuple[int, int, int]
_OURS = 2
"""References to a connection that is decided on late: a local name, and the argument of what counts them."""
_fates: dict[int, _Fate] = {}
"""By id, of the connections that live. Kept from here, for what is garbage itself may not be told of garbage."""
_collects = False
"""True while the collector runs."""
_looks: list[None] = []
"""Not empty while the watcher looks: it may have a connection in hand, and be counted as somebody who has it."""
_postponed: deque[tuple[_Fate, Any, bool | None]] = deque()
"""Of proxies that ended meanwhile, with their connections, and whether those were closed."""


class Tie:
    """Hangs on a detached proxy, dies with it, and is taken off where the proxy lets go of the driver's connection."""

    __slots__ = ("__weakref__", "_connection", "_fate", "_guard", "_own")

    def __init__(self, ledger: Ledger, lease: Lease, key: int, connection: Any, guard: Guard) -> None:
        self._connection = connection
        self._own = weakref.ref(self)
        self._fate = _Fate(ledger, lease, key, connection)
        self._guard = guard

    def __del__(self) -> None:
        """Tell what has become of the connection; runs in a finalizer, so it takes no lock."""
        try:
            if self._fate.is_over():
                return
            closed = self._fate.was_closed(self._connection)
            if _looks:
                _postponed.append((self._fate, self._connection, closed))
                return
            # the collector makes an end of weak references first, and leaves the proxy's own for later
            others = sys.getrefcount(self._connection) - (2 if self._own() is not None else 3)
            self._connection = None  # where nobody else has it, it ends here
            self._fate.decide(closed, others, _instant(sys._getframe(1)))
        except Exception as error:  # at the end of a thread there may be no frame to speak of
            self._guard.failed("sqlalchemy.detach", error)


class _Fate:
    """What is known of a driver's connection once its proxy is gone."""

    __slots__ = ("_closed", "_instant", "_key", "_ledger", "_ref", "lease")

    def __init__(self, ledger: Ledger, lease: Lease, key: int, connection: Any) -> None:
        self._ledger = ledger
        self.lease = lease
        self._key = key
        self._closed: bool | None = None
        """What it was when the collector began."""
        self._instant: Instant | None = None
        """When the proxy died, where the connection has outlived it."""
        self._ref = driver.weakly(connection, self._died)
        _fates[id(self)] = self

    def is_over(self) -> bool:
        """Tell whether the lease has ended before its proxy; nothing of the connection is asked then."""
        over = self._ledger.detached.get(self._key) is not self.lease
        if over:
            _fates.pop(id(self), None)
        return over

    def note(self) -> None:
        """Ask whether the connection is closed: finalizers of the driver's close what the collector has found."""
        connection = driver.behind(self._ref)
        if connection is not None:
            self._closed = driver.is_closed(connection)

    def was_closed(self, connection: Any) -> bool | None:
        """Tell whether the connection is closed, or was when the collector found it together with its proxy."""
        found = _collects and self._ref is not None and self._ref() is None
        return self._closed if found else driver.is_closed(connection)

    def decide(self, closed: bool | None, others: int, instant: Instant) -> None:
        """End the lease: as a leak where an open connection went with its proxy, else in good order."""
        if closed is False and (driver.is_nobodys_any_more(self._ref) if self._ref is not None else others <= 0):
            self._leaked()
            return
        if closed is False:
            self._instant = instant
        if closed is not False or self._ref is None:
            _fates.pop(id(self), None)
        self._ledger.detached.pop(self._key, None)
        end(self._ledger, self.lease)

    def _died(self, _: object) -> None:
        """Take back that it was handed on: the collector clears a cycle's objects one after another, at one instant."""
        _fates.pop(id(self), None)
        if self._instant is not None and self._instant == _instant(sys._getframe(1)):
            self._leaked()

    def _leaked(self) -> None:
        self.lease.returned = 0.0
        self.lease.own().collected = monotonic()
        self._ledger.gone.append(self.lease)


def handed_on() -> set[int]:
    """Give the inodes of the sockets that somebody has taken over with ``detach()``."""
    return {fate.lease.conn.socket.inode for fate in list(_fates.values())}


def _instant(frame: FrameType | None) -> Instant:
    """Say where a thread is; what is so twice has happened without any code of its own in between."""
    return (get_ident(), id(frame), -1 if frame is None else frame.f_lasti)


def _collecting(phase: str, _: object) -> None:
    global _collects
    _collects = phase == "start"
    for fate in list(_fates.values()) if _collects else ():
        fate.note()


def _no_longer() -> None:
    if _collecting in gc.callbacks:
        gc.callbacks.remove(_collecting)


def detach(ledger: Ledger, lease: Lease, proxy: Any, guard: Guard) -> None:
    """Take a lease out of its pool's numbers; raises nothing where the driver's connection cannot be watched."""
    twin = Lease(proxy)  # has no callback: the end of the proxy alone says nothing
    for name in Lease.__slots__:
        if hasattr(lease, name):
            setattr(twin, name, getattr(lease, name))
    lease.returned = monotonic()
    twin.own().detached = True
    twin.conn.lease = twin
    if _collecting not in gc.callbacks:
        gc.callbacks.append(_collecting)
        guard.add("sqlalchemy.detach", _no_longer)
    key = id(proxy.dbapi_connection)
    ledger.detached[key] = twin
    proxy._poolwatch = Tie(ledger, twin, key, driver.driver_connection(proxy), guard)


@contextmanager
def looked_at(ledger: Ledger) -> Iterator[None]:
    """Let the watcher look; ends the leases of what was closed through its driver while its proxy goes on."""
    _looks.append(None)
    try:
        _end_closed(ledger)
        yield
    finally:
        _looks.pop()
        while _postponed:
            _decide_next()


def _end_closed(ledger: Ledger) -> None:
    for key, lease in list(ledger.detached.items()):
        handle = lease()
        closed = handle is not None and driver.is_closed(driver.driver_connection(handle))
        if closed and ledger.detached.pop(key, None) is lease:
            end(ledger, lease)


def _decide_next() -> None:
    fate, connection, closed = _postponed.popleft()
    if not fate.is_over():
        others = sys.getrefcount(connection) - _OURS
        connection = None  # as where a Tie ends
        fate.decide(closed, others, _instant(None))


def end(ledger: Ledger, lease: Lease) -> None:
    """End the lease of a connection that is out of its pool for good."""
    ledger.give_back(lease.conn, lease)
    ledger.retire(lease.conn)
