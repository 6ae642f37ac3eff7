"""What one look does: drain the ledger, gather evidence, detect, keep the book of findings, write the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from time import monotonic, time

from poolwatch import model
from poolwatch.book import Change, Findings
from poolwatch.config import Config
from poolwatch.detectors import detect
from poolwatch.evidence import gather
from poolwatch.evidence.sockets import Sockets
from poolwatch.host import speech
from poolwatch.host.guard import Guard
from poolwatch.host.native import get_ident
from poolwatch.ledger import Lease, Ledger, crossing, detached, view
from poolwatch.ledger.census import Census
from poolwatch.ledger.totals import News, Totals, long_held, taken
from poolwatch.remedies import Reclaimer
from poolwatch.report.spool import INTERVALS_BETWEEN_WRITES, MAX_LEASES, Spool
from poolwatch.watcher.suspects import Suspects

_SETTLED = 0.05
"""A lease this old (seconds) is past the checkout listeners, which may have refused an inherited connection."""


class Looks:
    """The looks at one process's ledger, and what they have found. Whoever calls sees to it that nobody else does."""

    def __init__(
        self, ledger: Ledger, guard: Guard, config: Config, spool: Spool | None, describe: Callable[[], model.Process]
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._config = config
        self._spool = spool
        self._describe = describe
        self._totals = Totals(config.floor_window)
        self._suspects = Suspects(ledger, config, guard)
        self._sockets = Sockets(config, guard)
        self._reclaimer = Reclaimer(ledger, config.reclaim)
        self._remedies: Counter[str] = Counter()
        self._spooled: tuple[object, ...] = ()
        self._spooled_at = 0.0
        self.findings = Findings(max_findings=config.max_findings, resolve_after=config.resolve_after)
        self.cpu_seconds = 0.0
        self.ended_at: float | None = None

    def look(self, final: bool) -> tuple[list[Change], News]:
        """Take one look; gives what changed and what has happened since the look before."""
        with detached.looked_at(self._ledger):
            return self._look(final)

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
        ours = {lease.id for lease in raw.values() if lease.owner.is_own() and lease.user.is_own()}
        found = [one for one in detect(snapshot, self._config) if not one.subjects or not one.subjects <= ours]
        changes = self.findings.update(snapshot.at, found, returned, remedied)
        changes = [(change, self._dress(change, finding, raw)) for change, finding in changes]
        self._forget_detached(news.collected)
        if self._config.reclaim and not final:
            self._reclaim(found, raw, news.collected)
        if final:
            self.ended_at = snapshot.at
        self.write(bool(changes), final)
        return changes, news

    def _reclaim(self, found: list[model.Finding], raw: dict[int, Lease], collected: list[Lease]) -> None:
        sure = [one for one in found if one.kind == "leak.owner_ended" and one.grade != "suspected"]
        ended = {subject for finding in sure for subject in finding.subjects}
        self._reclaimer.collected(collected)
        self._reclaimer.owner_ended([raw[subject] for subject in ended if subject in raw])

    def snapshot(self, most_leases: int | None = None) -> model.Snapshot:
        """Freeze what is known now, the oldest lease first."""
        census = self._census()
        oldest = sorted(census.out(), key=lambda lease: lease.taken)[:most_leases]
        return replace(
            self._numbers(census),
            leases=tuple(view.lease(lease, census.now, self._suspects.state_of(lease)) for lease in oldest),
            waiters=tuple(view.waiter(wait, census.now) for wait in list(self._ledger.waits.values())),
        )

    def _census(self) -> Census:
        self._ledger.forget_homeless()
        self._totals.drain(self._ledger)
        return Census(self._ledger)

    def numbers(self) -> model.Snapshot:
        """Freeze what metrics are computed from: leases and waiters are counted, which is quick, but not listed."""
        return self._numbers(self._census())

    def _numbers(self, census: Census) -> model.Snapshot:
        pools, sites = self._totals.now(census)
        return model.Snapshot(
            at=time(),
            process=self._process(),
            pools=view.pools(self._ledger, census, pools),
            sites=view.sites(self._ledger, census, sites, self._config.max_sites),
            scopes=self._totals.flows.totals(),
            findings=self.findings.all(),
            findings_total=self.findings.counted(),
        )

    def _process(self) -> model.Process:
        dropped = dict(self._ledger.dropped)
        if self.findings.dropped:
            dropped["findings"] = self.findings.dropped
        if self._spool is not None and self._spool.errors:
            dropped["reports"] = self._spool.errors
        if speech.dropped():
            dropped["log_lines"] = speech.dropped()
        self._remedies.update(taken(self._ledger.remedied))
        return replace(
            self._describe(),
            ended_at=self.ended_at,
            hook_errors=dict(self._guard.errors),
            dropped=dropped,
            remedies=dict(self._remedies),
            watcher_cpu_seconds=self.cpu_seconds,
            interval=self._config.interval,
            seen_at=time(),
        )

    def _judged(self, news: News, raw: dict[int, Lease], now: float, final: bool) -> model.Snapshot:
        leases = self._suspects.examined(raw, now, final)
        census = Census(self._ledger)
        pools, sites = self._totals.now(census)
        waits = [wait for wait in list(self._ledger.waits.values()) if now - wait.since > 0 and not wait.owner.is_own()]
        events = [event for event in news.events if not (event.victim.is_own() or event.culprit.is_own())]
        return model.Snapshot(
            at=time(),
            process=self._process(),
            pools=view.pools(self._ledger, census, pools),
            leases=leases,
            waiters=tuple(view.waiter(wait, now) for wait in [*waits, *news.waited]),
            incidents=tuple(view.incident(event, now) for event in events),
            sites=view.sites(self._ledger, census, sites if final else long_held(sites), self._config.max_sites),
            scopes=self._totals.flows.totals(),
            sockets=self._sockets.suspects,
            final=final,
            ending_thread=get_ident() if final else 0,
        )

    def _report_inherited(self) -> None:
        """Report leases that a forked child took on its parent's connections and has not yet used."""
        now = monotonic()
        for lease in self._ledger.out() if self._ledger.child else ():
            if now - lease.taken > _SETTLED:
                crossing.inherited(self._ledger, lease)

    def _dress(self, change: str, finding: model.Finding, raw: dict[int, Lease]) -> model.Finding:
        lease = next((raw[subject] for subject in finding.subjects if subject in raw), None)
        if change != "opened" or lease is None or finding.one_per_pool:
            return finding
        lease.site.heat()
        return self.findings.dress(finding, stacks=gather.stacks(lease, self._config.stack_depth))

    def _forget_detached(self, collected: list[Lease]) -> None:
        for lease in collected:
            if lease.more.detached:
                for key in [key for key, other in list(self._ledger.detached.items()) if other is lease]:
                    del self._ledger.detached[key]
                    self._ledger.retire(lease.conn)

    def write(self, changed: bool, final: bool) -> None:
        """Bring the spool up to date: at once where something changed, else now and then."""
        if self._spool is None:
            return
        out = tuple(sorted(lease.id for lease in self._ledger.out()))
        now = monotonic()
        if (
            final
            or changed
            or out != self._spooled
            or now - self._spooled_at >= INTERVALS_BETWEEN_WRITES * self._config.interval
        ):
            self._spooled, self._spooled_at = out, now
            self._spool.write(self.snapshot(MAX_LEASES).to_json())
