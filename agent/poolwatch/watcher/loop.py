"""The loop: a look every interval, in a real thread that the host does not see, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic, thread_time, time

from poolwatch import model
from poolwatch.alert import log
from poolwatch.book import Change
from poolwatch.config import Config
from poolwatch.evidence import reach
from poolwatch.host.guard import Guard
from poolwatch.host.native import (
    Alarm,
    allocate_lock,
    get_ident,
    get_native_id,
    leave_no_dummy,
    let_collector_go_on,
    sleep,
    start_own_thread,
    wait_for_end_of,
    with_collector_paused,
)
from poolwatch.ledger import Ledger
from poolwatch.ledger.totals import News
from poolwatch.report.spool import Spool
from poolwatch.watcher.looks import Looks

Follower = Callable[[list[Change], News], None]
"""Is told after a look what changed and what happened since the look before."""
_PATIENCE = 1.0
"""Seconds that the end of the process waits for a look, which it may have interrupted for good."""
_HURRY = 0.25
"""Seconds at most that a hook waits for a look."""


class Watcher:
    """Looks at the ledger every ``interval`` seconds. ``look`` may also be called by hand, from any thread."""

    def __init__(
        self, ledger: Ledger, guard: Guard, config: Config, spool: Spool | None, describe: Callable[[], model.Process]
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._interval = config.interval
        self._new_looks = partial(Looks, ledger, guard, config, spool, describe)
        self._looks = self._new_looks()
        self._lock = allocate_lock()
        self._alarm = Alarm()
        self._done = Alarm()
        self._running = self._over = self._ending = False
        self._ident = self._native_id = 0
        self.followers: list[Follower] = [log.follow]

    def start(self) -> None:
        """Begin to look; starting twice is starting once."""
        if not self._running:
            self._running = True
            self._alarm, self._done = Alarm(), Alarm()
            start_own_thread(self._run)

    def say_last_word(self) -> None:
        """Look, and report as one that has ended."""
        self.look()
        self._looks.ended_at = time()
        self._looks.write(True, False)

    def take_back_last_word(self) -> None:
        """Report as one that goes on, from the next look."""
        self._looks.ended_at = None

    def stop(self) -> None:
        """End the thread and wait for it, at most a second."""
        if self._running:
            self._running = False
            reach.hurry()
            self._alarm.ring()
            self._done.wait(1.0)
            wait_for_end_of(self._native_id)

    def close(self) -> None:
        """Look for the last time; findings stay as they are from then on, and what is out is expected no more."""
        self._look_guarded()
        self._over = True
        self._ledger.let_go()
        self._looks.write(True, False)

    def look_now(self) -> None:
        """Have the thread look at once, and wait for it a little: this process may be killed at any moment."""
        until = monotonic() + _HURRY
        self._alarm.ring()
        while self._running and get_ident() != self._ident and monotonic() < until:
            if not self._ledger.events and not self._lock.locked():
                return
            sleep(0.001)

    def became_child(self) -> None:
        """Begin anew in a forked child, where the thread does not exist and the lock may be held by nobody."""
        let_collector_go_on()
        self._lock = allocate_lock()
        self._running = False
        self._looks = self._new_looks()

    def _run(self) -> None:
        self._ident, self._native_id = get_ident(), get_native_id()
        done, alarm, look = self._done, self._alarm, self._look_guarded
        started = thread_time()
        while self._running and self._alarm is alarm:
            alarm.wait(self._interval)
            if self._running and self._alarm is alarm:
                with_collector_paused(look)
                leave_no_dummy()
            spent = thread_time()
            self._looks.cpu_seconds += spent - started
            started = spent
        done.ring()

    def _look_guarded(self) -> None:
        try:
            self.look()
        except Exception as error:
            self._guard.note("watcher", error)

    def look(self, *, final: bool = False) -> list[Change]:
        """Take one look: drain, judge, tell. Gives what changed; ``final`` is the end of the process."""
        if self._over:
            return []
        self._ending = self._ending or final
        with self._alone():
            changes, news = self._looks.look(final)
        for follow in self.followers:  # outside the lock: a sink may ask for a snapshot
            try:
                follow(changes, news)
            except Exception as error:
                self._guard.failed("follower", error)
        return changes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else look; at the end of the process for a while only: this thread may be the one that does."""
        alone = self._lock.acquire(True, _PATIENCE if self._ending else -1)
        try:
            yield
        finally:
            if alone:
                self._lock.release()

    def snapshot(self) -> model.Snapshot:
        """Freeze what is known now, the oldest lease first; findings are of the last look."""
        with self._alone():
            return self._looks.snapshot()

    def numbers(self) -> model.Snapshot:
        """Freeze what metrics are computed from."""
        with self._alone():
            return self._looks.numbers()

    def found(self) -> tuple[model.Finding, ...]:
        """Give the findings of the last look, open ones first."""
        with self._alone():
            return self._looks.findings.all()

    def told_of(self) -> dict[str, frozenset[int]]:
        """Give for each open finding, by its id, the ids of the leases and waits that it is about."""
        with self._alone():
            return self._looks.findings.subjects()
