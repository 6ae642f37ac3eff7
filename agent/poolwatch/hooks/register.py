"""The pools and physical connections of one library, by identity, beside the ledger: nothing here keeps them alive."""

from __future__ import annotations

import asyncio
import weakref
from asyncio import _get_running_loop
from time import monotonic
from typing import Any

from poolwatch.host.guard import Guard
from poolwatch.host.native import get_ident
from poolwatch.ledger import Conn, Lease, Ledger, Pool, Wait, pools
from poolwatch.senses import marks, sockets
from poolwatch.senses.actor import current_loop
from poolwatch.senses.actors import Loop

_returning: set[asyncio.Future[object]] = set()
"""Keeps what an event loop works on; loops themselves do not."""


def runs_here(loop: Any) -> bool:
    """Tell whether ``loop`` is the event loop that runs in this thread.

    Before Python 3.12 asking asyncio costs a system call, so the loop is asked first; not every class of loops knows.
    """
    if getattr(loop, "_thread_id", None) == get_ident():
        return True
    return loop is not None and _get_running_loop() is loop


class Home(pools.Home):
    """That of a library whose pools have loops of their own, lose slots, and are told of forks."""

    __slots__ = ("loop", "lost", "place", "told")

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.loop: Loop | None = current_loop()
        """Where it was first seen; for an async pool, the loop it lives on."""
        self.place = Conn(pool, self.serial, None)
        """No connection, but told of forks like one: ``foreign`` once this is another process than the pool's."""
        self.place.open = False
        self.lost: list[Body] = []
        """Connections that were dropped while lent: their slots are gone until the pool is closed."""
        self.told: dict[object, float] = {}
        """When a line was last reported for using the pool elsewhere; monotonic seconds."""

    def is_here(self) -> bool:
        """Tell whether this runs on the pool's loop; for a pool that was made outside of any, whether none runs."""
        loop = self.loop
        if loop is None:
            return _get_running_loop() is None
        home = loop.ref()  # as in runs_here, without another call
        return getattr(home, "_thread_id", None) == get_ident() or (home is not None and _get_running_loop() is home)


class Body(weakref.ref[Any]):
    """A physical connection, held weakly."""

    __slots__ = ("conn", "home", "register", "was")

    conn: Conn
    home: Home
    register: Register
    was: int


class Register:
    """What one library's hook knows of its pools and connections, and where it writes and fails."""

    def __init__(self, ledger: Ledger, guard: Guard, hook: str) -> None:
        self.ledger = ledger
        self.guard = guard
        self.hook = hook
        self.homes: dict[int, Home] = {}
        """By id of the library's pool, and only of those that live; ``bodies`` by id of its connection."""
        self.bodies: dict[int, Body] = {}

    def failed(self, error: BaseException) -> None:
        """Note that the hook raised; the caller swallows the error. One of the host's own is raised again."""
        self.guard.failed(self.hook, error)

    def interrupted(self, connection: object, error: BaseException) -> None:
        """Note that the hook raised as a connection went out or came in; one of the host's own is raised again.

        After such a one nobody will return the connection: its taker never saw it, or his return was cut short. So it
        is returned here, in an async pool by a task of its own.
        """
        try:
            self.failed(error)
        except BaseException:
            returning = self.ledger.closers[self.hook](connection)
            if returning is not None:
                task = asyncio.ensure_future(returning)
                _returning.add(task)
                task.add_done_callback(_returning.discard)
            raise

    def settle(self, key: int, soul: object, pool: Pool) -> Home:
        """Make the home of the pool with id ``key``; ``soul`` is what lives exactly as long as that pool."""
        pool.marks = marks.of(soul)
        home = self.homes[key] = self.ledger.homes[key] = Home(pool)
        self.ledger.pools.setdefault(pool.key, pool)
        self.ledger.conns[id(home.place)] = home.place

        def gone(_: object) -> None:
            if self.homes.get(key) is home:
                del self.homes[key]
            self.forget_lost(home)
            self.ledger.homeless.append((key, home.serial))

        home.ref = weakref.ref(soul, gone)
        return home

    def add(self, home: Home, connection: object) -> Conn:
        """Begin to know a physical connection."""
        body = Body(connection, _gone)
        body.conn, body.home, body.register, body.was = (
            Conn(home.pool, home.serial, None),
            home,
            self,
            id(connection),
        )
        body.conn.socket = sockets.of_connection(connection)
        self.bodies[body.was] = body
        self.ledger.conns[id(body)] = body.conn
        return body.conn

    def waited(self, wait: Wait | None, timed_out: bool) -> None:
        """Record that a wait is over, if there was one."""
        if wait is None:
            return
        try:
            self.ledger.unblocked(wait, timed_out)
        except Exception as error:
            self.failed(error)

    def forgive(self, lease: Lease) -> Home | None:
        """Count the slot of a collected lease no longer as lost; gives its pool's home, None where none was lost."""
        conn = lease.conn
        home = next((home for home in list(self.homes.values()) if home.serial == conn.home), None)
        if home is None or conn.lease is not lease:
            return None
        conn.lease, lease.returned = None, monotonic()
        for body in [body for body in home.lost if body.conn is conn]:
            home.lost.remove(body)
            self._forget(body)
        return home

    def found_again(self, connection: object) -> None:
        """Take back what counts as lost, where a ``__del__`` still returns it: the collector tells us first."""
        for home in list(self.homes.values()):
            for body in [body for body in home.lost if body.was == id(connection)]:
                home.lost.remove(body)
                if body.conn.lease is not None:
                    body.conn.lease.own().collected = 0.0
                    self.ledger.give_back(body.conn, body.conn.lease)
                self._forget(body)

    def forget_lost(self, home: Home) -> None:
        """Count lost slots no longer: their pool is closed or gone. Safe in a finalizer."""
        while home.lost:
            self._forget(home.lost.pop())

    def _forget(self, body: Body) -> None:
        if self.ledger.conns.pop(id(body), None) is not None:
            self.ledger.retire(body.conn)


def _gone(body: Body) -> None:
    """Forget a connection that was collected; runs in a finalizer, so it takes no lock.

    One that was lent stays in the ledger where its pool is limited: the pool counts its slot as used for ever.
    """
    register = body.register
    if register.bodies.get(body.was) is body:
        del register.bodies[body.was]
    if body.conn.lease is not None and body.conn.pool.limits[1] is not None and body.home.ref() is not None:
        body.home.lost.append(body)
    else:
        register._forget(body)
