"""The hot path: lend, use, give back. Who, when, where, record, return; nothing else belongs here."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Coroutine
from sys import _getframe
from time import monotonic
from types import FrameType
from typing import Any

from poolwatch.host.native import get_ident
from poolwatch.ledger import crossing
from poolwatch.ledger.leases import NOTHING_MORE, Lease
from poolwatch.ledger.pools import QUEUE, Pools
from poolwatch.ledger.records import BOUNDS, NOTHING_YET, Conn, Event, Pool, Site, Sums, Wait
from poolwatch.senses import flow
from poolwatch.senses.actor import current, current_loop
from poolwatch.senses.flow import current_strand, own_strand
from poolwatch.senses.greenlets import frame_behind, steps_behind
from poolwatch.senses.stack import Raw, has_left_task, inside, is_library, on_behalf_of, outside, raw

_FIRST_BOUND = BOUNDS[0]
_gone: deque[Lease] = deque(maxlen=QUEUE)
Closer = Callable[[Any], "Coroutine[Any, Any, object] | None"]
Refiller = Callable[[Lease], bool]
"""Closers return what is to be awaited on the pool's own loop, or None where all is done."""


def handle_gone(lease: Lease) -> None:
    """Mark what was collected; runs in a finalizer, so it takes no lock and calls nothing of the application's."""
    if not lease.returned:
        lease.own().collected = monotonic()
        _gone.append(lease)


def nobody_looks() -> None:
    """Stand in for a watcher."""


class Ledger(Pools):
    """Leases, waits and crossings of this process."""

    def __init__(
        self, *, stack_depth: int = 16, max_sites: int = 1000, strict: bool = False, protect_fork: bool = False
    ) -> None:
        super().__init__()
        self.waits: dict[int, Wait] = {}
        """By serial: who is blocked on a pool now."""
        self.sites: dict[tuple[int, int], Site] = {}
        self.notable: deque[Lease] = deque(maxlen=QUEUE)
        """Returned leases that somebody may ask for."""
        self.waited: deque[Wait] = deque(maxlen=QUEUE)
        self.opened: deque[tuple[Pool, float]] = deque(maxlen=QUEUE)
        self.connecting: dict[object, float] = {}
        """When each connect that is not over began; monotonic seconds."""
        self.events: deque[Event] = deque(maxlen=1000)
        self.gone = _gone
        self.child = False
        """True in a process that was forked while watched."""
        self.strict = strict
        self.protect_fork = protect_fork
        self.closers: dict[str, Closer] = {}
        """By library: gives the handle of a lease back to its pool."""
        self.refillers: dict[str, Refiller] = {}
        """By library: makes good the slot of a lease that was collected, and tells whether it had to."""
        self.look_now: Callable[[], None] = nobody_looks
        """Has the watcher look at once; for what a forked child, which may be killed without a word, must tell."""
        self.at_wait: Callable[[], None] = nobody_looks
        """Is called when somebody begins to wait for a pool: a watcher that was stopped for a fork must see that."""
        self.remedied: deque[str] = deque(maxlen=QUEUE)
        """Names of the remedies that were applied."""
        self.stack_depth = stack_depth
        self._max_sites = max_sites
        self._other = Site(None, 0)

    def lend(self, conn: Conn, handle: object, depth: int = 1) -> None:
        """Record that ``handle`` was lent on ``conn`` to whoever runs here.

        ``depth`` says how many of the caller's frames are known to be the library's own.
        """
        lease = Lease(handle, handle_gone)
        lease.conn = conn
        lease.owner = lease.user = me = current()
        strand = current_strand()
        if strand is None or strand.key != me.key:
            strand = own_strand(me.key)
        lease.strand = strand.made or strand.ref
        lease.statements = 0
        lease.busy = 0.0
        lease.more = NOTHING_MORE
        if strand.scope is not None and (scope := flow.current_scope()) is not None:
            lease.own().scope = scope
            scope.took = True
        if flow.note_trace is not None:
            flow.note_trace(lease)
        site = conn.site
        try:
            frame: FrameType | None = _getframe(conn.depth)
        except ValueError:
            frame = None
        # the line that took this connection last, at the same depth, has taken it again; if not, go and look
        if frame is None or frame.f_code is not site.code or frame.f_lasti != site.offset:
            frame = self._locate(conn, depth + 2)
            site = conn.site
        lease.site = site
        site.seen = seen = site.seen + 1
        if seen >= site.due:
            lease.stack = site.sampled(raw(frame, self.stack_depth))
        if conn.lease is not None:
            self.replace(conn, conn.lease)
        conn.lent += 1
        lease.taken = lease.used = monotonic()
        conn.lease = lease
        if conn.loop is not None and conn.loop is not current_loop():
            crossing.of_loop(self, lease)

    def give_back(self, conn: Conn, lease: Lease) -> None:
        """Record that ``lease`` came back, by whoever runs here."""
        if conn.inside is not None:
            crossing.on_return(self, lease)
        if conn.foreign and crossing.inherited(self, lease):
            self.look_now()
        if lease.owner.thread_id != get_ident():
            conn.hand_offs += 1
        lease._returned = now = monotonic()
        conn.lease = None
        site = lease.site
        if lease.more is not NOTHING_MORE or site.hot:
            self.notable.append(lease)
            if lease.more.foreign:
                return
        held = now - lease.taken
        sums = conn.latest
        if sums.site is not site:
            counted = site.counted or site
            sums = conn.latest = conn.sums.get(counted) or conn.sums.setdefault(counted, Sums(counted))
        sums.used += held
        sums.busy += lease.busy
        sums.counts[0 if held <= _FIRST_BOUND else bisect_left(BOUNDS, held)] += 1

    def replace(self, conn: Conn, lease: Lease) -> None:
        """Forget a lease that nobody got, or whose connection is lent again; one shared by design is given back."""
        if conn.pool.shared and not lease.collected:
            self.give_back(conn, lease)
        else:
            conn.lease = None
            lease.returned = monotonic()
            conn.lent -= 1

    def enter(self, lease: Lease, statement: str | None) -> bool:
        """Record that whoever runs here begins to execute on ``lease``; false where it already does."""
        conn = lease.conn
        me = current()
        if conn.inside is not None:
            if conn.inside is me:
                return False
            crossing.of_use(self, lease, me)
        elif lease.user is not me and not conn.pool.shared:
            crossing.user_changed(self, lease, me)
            if conn.inside is not None:  # it takes its time: another has come in meanwhile
                crossing.of_use(self, lease, me)
        if conn.foreign and (not conn.reported or crossing.is_strict(self, conn.pool)):
            crossing.of_process(self, lease, me)
        now = monotonic()  # the last call: what a signal handler raises after it would leave us inside
        lease.user = conn.inside = me
        lease._statement = statement
        conn.since = now
        return True

    def leave(self, lease: Lease) -> None:
        """Record that the execution begun with ``enter`` is over."""
        conn = lease.conn
        conn.inside = None
        lease.used = now = monotonic()
        lease.busy += now - conn.since
        lease.statements += 1

    def settled(self, lease: Lease) -> None:
        """Record that a transaction has ended: who uses the lease next does not step into another's work."""
        lease.conn.settled = lease.taken, lease.statements

    def _locate(self, conn: Conn, depth: int) -> FrameType | None:
        """Find the innermost frame outside pool libraries, ``depth`` or more up; note on ``conn`` which site it is."""
        if conn.depth < 0:  # it was lent behind a greenlet, as under SQLAlchemy's asyncio bridge
            frame = frame_behind(~conn.depth)
            if frame is not None and frame.f_code is conn.site.code and frame.f_lasti == conn.site.offset:
                return frame
        frame = None
        steps = depth
        try:
            frame = _getframe(depth)
        except ValueError:  # called from C, or the first call of a greenlet: the library's frames are all there is
            pass
        while frame is not None and inside[frame.f_code.co_filename]:
            frame = frame.f_back
            steps += 1
        conn.depth = steps - 1  # seen from lend
        if frame is None or frame.f_code.co_filename == "<string>" or has_left_task(frame):
            frame = outside(depth)
            behind = steps_behind(frame) if frame is not None else None
            conn.depth = 0 if behind is None else ~behind
        if frame is not None and not is_library(frame.f_code.co_filename):
            code, offset = frame.f_code, frame.f_lasti
        else:
            conn.depth = 0  # anybody may call a library, or await it: look again the next time
            frame, taker = on_behalf_of(frame)
            if taker is None:
                conn.site = self._other
                return None
            code, offset = taker
        conn.site = self.sites.get((id(code), offset)) or self._new_site(code, offset)
        return frame

    def _new_site(self, code: object, offset: int) -> Site:
        if len(self.sites) >= self._max_sites:
            self.count_dropped("sites")
            return Site(code, offset, self._other)  # type: ignore[arg-type]
        site = self.sites[id(code), offset] = Site(code, offset)  # type: ignore[arg-type]
        return site

    def blocked(self, pool: Pool, on_loop: bool, home: int = 0) -> Wait:
        """Record that whoever runs here begins to wait for ``pool``; end it with ``unblocked``.

        ``home`` is the serial of the pool object, where the logical pool may have had several.
        """
        self.at_wait()
        wait = Wait(pool, current(), on_loop, self.here(2), home)
        self.waits[id(wait)] = wait
        return wait

    def unblocked(self, wait: Wait, timed_out: bool) -> None:
        """Record that a wait is over; a timeout keeps who held and who waited at that moment."""
        if timed_out:
            wait.holders = tuple(lease for lease in self.out() if wait.is_held_by(lease))
            wait.waiting = tuple(w.owner for w in list(self.waits.values()) if w.pool is wait.pool)
            wait.timed_out = True
        self.waits.pop(id(wait), None)
        wait.until = monotonic()
        self.waited.append(wait)

    def here(self, depth: int) -> Raw:
        """Give the raw stack of the application, ``depth`` frames up from the caller."""
        return raw(outside(depth), self.stack_depth)

    def became_child(self, parent: int) -> None:
        """Begin anew in a forked child: what was open or out belongs to the process ``parent``."""
        for conn in list(self.conns.values()):
            conn.foreign = conn.foreign or parent
            conn.inside = None
            conn.sums = {}
            conn.latest = NOTHING_YET
            conn.lent = conn.hand_offs = 0
            if conn.lease is not None:
                conn.lease.own().foreign = True
        self.child = True
        self.detached.clear()
        self.waits.clear()
        self.connecting.clear()
        for queue in (self.notable, self.retired, self.waited, self.opened, self.events, self.gone, self.remedied):
            queue.clear()
        self.dropped.clear()

    def count_full_queues(self) -> None:
        """Count each queue that is full: its oldest entries have fallen out, and nobody knows how many."""
        for name in ("notable", "waited", "opened", "events"):
            queue: deque[Any] = getattr(self, name)
            if len(queue) == queue.maxlen:
                self.count_dropped(name)

    def let_go(self) -> None:
        """Expect nothing of the leases that are out: nobody will see them come back."""
        for lease in self.out():
            lease.conn.lease = None
            lease.returned = monotonic()
        self.detached.clear()

    def out(self) -> list[Lease]:
        """Give the leases that are out now, oldest first or nearly so; those of a fork's parent are left out."""
        found: list[Lease] = []
        for conn in list(self.conns.values()):
            lease = conn.lease
            if lease is not None and not lease.more.foreign:
                found.append(lease)
        found.extend(list(self.detached.values()))
        return found
