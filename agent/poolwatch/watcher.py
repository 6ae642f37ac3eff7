"""The loop: snapshot, detect, alert, spool, every interval; in a real thread that the host does not see."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from poolwatch import model
from poolwatch.alert import log
from poolwatch.config import Config
from poolwatch.detectors import detect
from poolwatch.evidence import gather
from poolwatch.evidence.sockets import Sockets
from poolwatch.findings import Change, Findings
from poolwatch.guard import Guard
from poolwatch.ledger import Lease, Ledger, crossing, view
from poolwatch.ledger.totals import News, Totals, long_held, taken
from poolwatch.native import (
    Alarm,
    allocate_lock,
    get_native_id,
    let_collector_go_on,
    start_new_thread,
    wait_for_end_of,
    with_collector_paused,
)
from poolwatch.remedies import Reclaimer
from poolwatch.spool import Spool
from poolwatch.suspects import Suspects

_SPOOLED_LEASES = 1000
_INTERVALS_BETWEEN_REPORTS = 4
"""At which the spool follows mere numbers; what is out and what was found it follows at once."""
Follower = Callable[[list[Change], News], None]
"""Is told after a look what changed and what happened since the look before."""
_SETTLED = 0.05
"""A lease this old (seconds) is past the checkout listeners, which may have refused an inherited connection."""


class Watcher:
    """Looks at the ledger every ``interval`` seconds. ``look`` may also be called by hand, from any thread."""

    def __init__(
        self, ledger: Ledger, guard: Guard, config: Config, spool: Spool | None, describe: Callable[[], model.Process]
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._config = config
        self._spool = spool
        self._describe = describe
        self._lock = allocate_lock()
        self._alarm = Alarm()
        self._done = Alarm()
        self._running = self._over = False
        self._native_id = 0
        self.followers: list[Follower] = [log.follow]
        self._began_anew()

    def _began_anew(self) -> None:
        self._totals = Totals(self._config.floor_window)
        self._suspects = Suspects(self._ledger, self._config, self._guard)
        self.findings = Findings(max_findings=self._config.max_findings, resolve_after=self._config.resolve_after)
        self.cpu_seconds = 0.0
        self.ended_at: float | None = None
        self._sockets = Sockets(self._config, self._guard)
        self._reclaimer = Reclaimer(self._ledger, self._config.reclaim)
        self._remedies: Counter[str] = Counter()
        self._spooled: tuple[object, ...] = ()
        self._spooled_at = 0.0

    def start(self) -> None:
        """Begin to look; starting twice is starting once."""
        if not self._running:
            self._running = True
            self._alarm, self._done = Alarm(), Alarm()
            start_new_thread(self._run, ())

    def stop(self) -> None:
        """End the thread and wait for it, at most a second."""
        if self._running:
            self._running = False
            self._alarm.ring()
            self._done.wait(1.0)
            wait_for_end_of(self._native_id)

    def close(self) -> None:
        """Look for the last time; findings stay as they are from then on, and what is out is expected no more."""
        self._look_guarded()
        self._over = True
        self._ledger.let_go()
        self._write(True, False)

    def wake(self) -> None:
        """Look now instead of at the end of the interval."""
        self._alarm.ring()

    def became_child(self) -> None:
        """Begin anew in a forked child, where the thread does not exist and the lock may be held by nobody."""
        let_collector_go_on()
        self._lock = allocate_lock()
        self._running = False
        self._began_anew()

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the host's threads
        self._native_id = get_native_id()
        done, alarm, look = self._done, self._alarm, self._look_guarded
        started = time.thread_time()
        while self._running and self._alarm is alarm:
            alarm.wait(self._config.interval)
            if self._running and self._alarm is alarm:
                with_collector_paused(look)
            spent = time.thread_time()
            self.cpu_seconds += spent - started
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
        with self._lock:
            changes, news = self._look(final)
        for follow in self.followers:  # outside the lock: a logging handler may ask for a snapshot
            try:
                follow(changes, news)
            except Exception as error:
                self._guard.failed("follower", error)
        return changes

    def _look(self, final: bool) -> tuple[list[Change], News]:
        self._guard.settle()
        self._ledger.forget_homeless()
        self._report_inherited()
        self._sockets.look(self._ledger, monotonic(), final)
        self._totals.drain(self._ledger)
        news = self._totals.take_news()
        now = monotonic()
        self._totals.floors.look(self._ledger.out(), now)
        raw = self._suspects.among(news, now, final)
        snapshot = self._judged(news, raw, now, final)
        returned = {lease.id: lease.returned - lease.taken for lease in news.returned if lease.returned}
        remedied = frozenset(lease.id for lease in news.returned if lease.more.remedy)
        found = detect(snapshot, self._config)
        changes = self.findings.update(snapshot.at, found, returned, remedied)
        changes = [(change, self._dress(change, finding, raw)) for change, finding in changes]
        self._forget_detached(news.collected)
        if self._config.reclaim and not final:
            self._reclaim(found, raw, news.collected)
        if final:
            self.ended_at = snapshot.at
        self._write(bool(changes), final)
        return changes, news

    def _reclaim(self, found: list[model.Finding], raw: dict[int, Lease], collected: list[Lease]) -> None:
        ended = {subject for finding in found if finding.kind == "leak.owner_ended" for subject in finding.subjects}
        self._reclaimer.collected(collected)
        self._reclaimer.owner_ended([raw[subject] for subject in ended if subject in raw])

    def snapshot(self, most_leases: int | None = None) -> model.Snapshot:
        """Freeze what is known now, with at most so many leases, the oldest first; findings are of the last look."""
        with self._lock:
            return self._snapshot(most_leases)

    def _snapshot(self, most_leases: int | None) -> model.Snapshot:
        self._ledger.forget_homeless()
        self._totals.drain(self._ledger)
        now = monotonic()
        out = self._ledger.out()
        pools, sites = self._totals.now(self._ledger)
        oldest = sorted(out, key=lambda lease: lease.taken)[:most_leases] if most_leases != 0 else []
        return model.Snapshot(
            at=time.time(),
            process=self._process(),
            pools=view.pools(self._ledger, pools, out, now),
            leases=tuple(view.lease(lease, now) for lease in oldest),
            waiters=tuple(view.waiter(wait, now) for wait in list(self._ledger.waits.values())),
            sites=view.sites(self._ledger, sites, self._config.max_sites),
            scopes=self._totals.flows.totals(),
            findings=self.findings.all(),
            findings_total=self.findings.counted(),
        )

    def _process(self) -> model.Process:
        dropped = dict(self._ledger.dropped)
        if self.findings.dropped:
            dropped["findings"] = self.findings.dropped
        self._remedies.update(taken(self._ledger.remedied))
        return replace(
            self._describe(),
            ended_at=self.ended_at,
            hook_errors=dict(self._guard.errors),
            dropped=dropped,
            remedies=dict(self._remedies),
            watcher_cpu_seconds=self.cpu_seconds,
            interval=self._config.interval,
            seen_at=time.time(),
        )

    def _judged(self, news: News, raw: dict[int, Lease], now: float, final: bool) -> model.Snapshot:
        leases = self._suspects.examined(raw, now, final)
        out = self._ledger.out()
        pools, sites = self._totals.now(self._ledger)
        waits = [wait for wait in list(self._ledger.waits.values()) if now - wait.since > 0]
        return model.Snapshot(
            at=time.time(),
            process=self._process(),
            pools=view.pools(self._ledger, pools, out, now),
            leases=leases,
            waiters=tuple(view.waiter(wait, now) for wait in [*waits, *news.waited]),
            incidents=tuple(view.incident(event, now) for event in news.events),
            sites=view.sites(self._ledger, long_held(sites), self._config.max_sites),
            sockets=self._sockets.suspects,
            final=final,
        )

    def _report_inherited(self) -> None:
        """Report leases that a forked child took on its parent's connections and has not yet used."""
        for lease in self._ledger.out():
            if monotonic() - lease.taken > _SETTLED:
                crossing.inherited(self._ledger, lease)

    def _dress(self, change: str, finding: model.Finding, raw: dict[int, Lease]) -> model.Finding:
        lease = next((raw[subject] for subject in finding.subjects if subject in raw), None)
        if change != "opened" or lease is None or finding.one_per_pool:
            return finding
        lease.site.hot = True
        facts = {**finding.lease, **gather.driver_state(lease)}
        return self.findings.dress(finding, lease=facts, stacks=gather.stacks(lease, self._config.stack_depth))

    def _forget_detached(self, collected: list[Lease]) -> None:
        for lease in collected:
            if lease.more.detached:
                for key in [key for key, other in list(self._ledger.detached.items()) if other is lease]:
                    del self._ledger.detached[key]
                    self._ledger.retire(lease.conn)

    def _write(self, changed: bool, final: bool) -> None:
        if self._spool is None:
            return
        out = tuple(sorted(lease.id for lease in self._ledger.out()))
        now = monotonic()
        if (
            final
            or changed
            or out != self._spooled
            or now - self._spooled_at >= _INTERVALS_BETWEEN_REPORTS * self._config.interval
        ):
            self._spooled, self._spooled_at = out, now
            self._spool.write(self._snapshot(_SPOOLED_LEASES).to_json())
