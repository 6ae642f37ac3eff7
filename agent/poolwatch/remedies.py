"""Give back what its owner did not: at the end of a fiber, or in a leak's stead where an option allows it.

Nothing here touches a lease whose user may still be alive. Every remedy is counted and logged.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Iterable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from poolwatch.host.native import sleep, start_own_thread
from poolwatch.host.speech import Log
from poolwatch.ledger import Lease, Ledger
from poolwatch.senses.actors import Actor, Loop
from poolwatch.senses.whereabouts import is_worker

log = Log("poolwatch.remedies")

_MOMENT, _TICK = 0.02, 0.0005
Pending = Coroutine[Any, Any, object]
after_error: ContextVar[bool] = ContextVar("poolwatch_after_error", default=False)
"""True, for those who give back, where what ends does so by an error: nobody will commit what it left."""
_running: set[asyncio.Future[Any]] = set()
"""Keeps what an event loop works on; loops themselves do not."""


def may_give_back(lease: Lease, me: Actor | None = None) -> bool:
    """Tell whether nobody but ``me`` can be using the lease."""
    user, inside = lease.user, lease.conn.inside
    if lease.returned or not (inside is None or inside is me or inside.has_ended()):
        return False
    return user is me or user.has_ended() or _is_call_over(lease)


def comes_free(lease: Lease, me: Actor) -> bool:
    """Tell whether nobody but ``me`` can be using the lease, or will in a moment.

    A worker thread of an executor lets go of a call a little after the call's result is there for others.
    """
    until = monotonic() + _MOMENT
    while not may_give_back(lease, me):
        if lease.returned or not _is_of_worker(lease) or monotonic() >= until:
            return False
        sleep(_TICK)
    return True


def _is_of_worker(lease: Lease) -> bool:
    return lease.conn.inside is None and lease.user.kind == "thread" and is_worker(lease.user)


def _is_call_over(lease: Lease) -> bool:
    """Tell whether a worker thread of an executor used the lease last, in a call that is over: it lives on idle.

    The end of a scope ends the strand of what was used in it too; that alone does not end the call.
    """
    trail = lease.more.trail
    if trail is None or trail.strand() is not None or (trail.flow is not None and trail.flow.ended):
        return False
    return _is_of_worker(lease)


def give_back(ledger: Ledger, lease: Lease, remedy: str, failed: bool = False) -> Pending | None:
    """Return the connection to its pool; gives what is to be awaited on the pool's own loop. Never raises."""
    closer, handle = ledger.closers.get(lease.conn.pool.library), lease()
    entry = after_error.set(failed)
    try:
        if lease.returned and lease.more.remedy == remedy:  # with another one of the same Session
            _told(ledger, lease, remedy)
            return None
        if handle is None:
            refill(ledger, lease, remedy)
            return None
        if closer is None:
            return None
        lease.own().remedy = remedy
        pending = closer(handle)
        if pending is not None:
            return _awaited(ledger, lease, remedy, pending)
        _told(ledger, lease, remedy)
    except Exception:
        log.exception("%s could not give a connection of pool %s back", remedy, lease.conn.pool.name)
    finally:
        after_error.reset(entry)
    return None


async def _awaited(ledger: Ledger, lease: Lease, remedy: str, pending: Pending) -> None:
    try:
        await pending
        _told(ledger, lease, remedy)
    except Exception:
        log.exception("%s could not give a connection of pool %s back", remedy, lease.conn.pool.name)


def _told(ledger: Ledger, lease: Lease, remedy: str) -> None:
    ledger.remedied.append(remedy)
    log.warning("%s gave back a connection of pool %s that %s left", remedy, lease.conn.pool.name, lease.owner.name)


def refill(ledger: Ledger, lease: Lease, remedy: str) -> None:
    """Make good the slot of a connection that was collected, where its pool has lost it."""
    refiller = ledger.refillers.get(lease.conn.pool.library)
    if refiller is not None and refiller(lease):
        _told(ledger, lease, remedy)


def start(pending: Pending) -> asyncio.Future[Any]:
    """Run what is pending on the loop of this thread; keeps it until it is done."""
    future = asyncio.ensure_future(pending)
    _running.add(future)
    future.add_done_callback(_running.discard)
    return future


class Reclaimer:
    """The option ``reclaim``: gives slots back after a proof, from the watcher."""

    def __init__(self, ledger: Ledger, names: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._names = names

    def collected(self, leases: Iterable[Lease]) -> None:
        """Make good what was dropped without being returned."""
        if "collected" in self._names:
            for lease in leases:
                try:
                    refill(self._ledger, lease, "collected")
                except Exception:
                    log.exception("collected could not make good a slot of pool %s", lease.conn.pool.name)

    def owner_ended(self, leases: Iterable[Lease]) -> None:
        """Close what an ended owner left and no living frame reaches; each lease is tried once."""
        if "owner_ended" in self._names:
            ended = [lease for lease in leases if lease.more.remedy is None and lease.owner.has_ended()]
            left = [lease for lease in ended if may_give_back(lease)]
            for lease in left:
                lease.own().remedy = "owner_ended"
            for lease in left:
                start_own_thread(_apply, self._ledger, lease)  # a rollback may take its time


def _apply(ledger: Ledger, lease: Lease) -> None:
    pending = give_back(ledger, lease, "owner_ended") if may_give_back(lease) else None
    if pending is not None:
        _send(pending, lease.conn.loop or lease.owner.loop)


def _send(pending: Pending, home: Loop | None) -> None:
    loop = home.ref() if home is not None else None
    try:
        if loop is None:
            raise RuntimeError("the pool's event loop is gone")
        loop.call_soon_threadsafe(start, pending)
    except RuntimeError as error:
        _discard(pending)
        log.warning("owner_ended could not give a connection back: %s", str(error))  # its frames hold the connection


def _discard(pending: Pending) -> None:
    """Close a coroutine that will not run, and the one it would have awaited, without a warning."""
    if inspect.iscoroutine(pending) and pending.cr_frame is not None:
        inner = pending.cr_frame.f_locals["pending"]
        inner.close()
    pending.close()
