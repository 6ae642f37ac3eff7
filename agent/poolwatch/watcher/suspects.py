"""Which leases a detector could have something to say of, and what is found out about them before it does."""

from __future__ import annotations

from dataclasses import replace

from poolwatch import model
from poolwatch.config import Config
from poolwatch.evidence import gather
from poolwatch.host.guard import Guard
from poolwatch.ledger import Lease, Ledger, view
from poolwatch.ledger.totals import News
from poolwatch.senses import driver
from poolwatch.watcher.states import States

_SHORT_IDLE = 0.2
"""Seconds without a statement after which a lease is asked what it does."""
_MOST_SAMPLED = 20


class Suspects:
    """Asks, look by look, about the few leases that may be a problem."""

    def __init__(self, ledger: Ledger, config: Config, guard: Guard) -> None:
        self._ledger = ledger
        self._config = config
        self._guard = guard
        self._witness = gather.Witness()
        self._states = States()
        self._ended: frozenset[int] = frozenset()
        """Leases whose end is news of this look; what comes back during it is news of the next."""

    def among(self, news: News, now: float, final: bool) -> dict[int, Lease]:
        """Give the leases that a detector could have something to say of, by id."""
        idle = min(self._config.overdue_after, self._config.idle_in_transaction_after, self._config.floor_window)
        starved = {wait.pool.key for wait in [*self._ledger.waits.values(), *news.waited]}
        found = {lease.id: lease for lease in news.collected}
        found.update({lease.id: lease for lease in news.returned if lease.more.remedy})
        self._ended = frozenset(found)
        out = self._ledger.out()
        self._note_unseen_use(out, now, idle)
        for lease in out:
            if (
                final
                or lease.collected
                or now - lease.used >= idle
                or lease.conn.pool.key in starved
                or lease.user.has_ended()
                or self._scope_over(lease, now, final)
            ):
                found[lease.id] = lease
        self._states.ask(found, out, now)
        return found

    def _note_unseen_use(self, out: list[Lease], now: float, idle: float) -> None:
        """Ask of each long idle lease whether it is idle, and of a few of the others: more would cost too much."""
        short = [lease for lease in out if _SHORT_IDLE <= now - lease.used < idle]
        for lease in [*short[:_MOST_SAMPLED], *(lease for lease in out if now - lease.used >= idle)]:
            gather.note_unseen_use(lease, now)

    def examined(self, suspects: dict[int, Lease], now: float, final: bool) -> tuple[model.Lease, ...]:
        """Freeze them, with what their drivers say and with who keeps the handles of those whose owner has ended."""
        leases = suspects.values()
        ended = [lease for lease in leases if self._long_left(lease, now, final) or self._scope_over(lease, now, final)]
        try:
            self._witness.ask(ended, now, final=final)
        except Exception as error:  # it goes through objects of the application's, whatever they are
            self._guard.failed("witness", error)
        frozen = [self._frozen(lease, now) for lease in leases]
        told = [lease for lease in frozen if final or not lease.returned or lease.id in self._ended]
        return tuple(map(self._witness.testify, told))

    def state_of(self, lease: Lease) -> driver.State:
        """Give what the driver of a lease said at the last look."""
        return self._states.of(lease)

    def _frozen(self, lease: Lease, now: float) -> model.Lease:
        frozen = view.lease(lease, now, self._states.of(lease))
        if frozen.idle_seconds >= self._config.overdue_after:
            frozen = replace(frozen, listens=gather.is_listening(lease))
        return frozen

    def _long_left(self, lease: Lease, now: float, final: bool) -> bool:
        """Tell whether who used it last has ended, for as long as the option says: and its owner too, or he lives."""
        if lease.collected or not lease.user.has_ended():
            return False
        ends = [lease.user.ended, *((lease.owner.ended, lease.owner.thread.ended) if lease.owner.has_ended() else ())]
        return final or now - max(ends) >= self._config.grace

    def _scope_over(self, lease: Lease, now: float, final: bool) -> bool:
        scope = lease.more.scope
        over = scope.over_since(lease.taken) if scope is not None and not lease.collected else 0.0
        if scope is None or not over:
            return False
        return final or now - over >= self._config.grace or scope.must_be_back()
