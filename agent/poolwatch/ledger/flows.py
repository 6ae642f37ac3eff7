"""Sums per flow: what requests and jobs of one name took, waited for and used. The watcher's, as ``totals`` is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from poolwatch import model
from poolwatch.ledger.leases import Lease
from poolwatch.ledger.records import Wait
from poolwatch.senses.flow import Scope

MOST_NAMES = 500
OTHER = "(other)"
_MOST_OPEN = 10_000
_MOST_SPANS = 256
"""Leases of one flow that are remembered one by one, to learn how many it had at once."""


@dataclass(slots=True)
class _Open:
    """A flow that goes on, or has ended a moment ago."""

    scope: Scope
    totals: model.ScopeTotals
    spans: list[tuple[float, float]] = field(default_factory=list)


class Flows:
    """What ended flows cost, by name; the names beyond so many are one."""

    def __init__(self) -> None:
        self._ended: dict[str, model.ScopeTotals] = {}
        self._open: dict[int, _Open] = {}

    def returned(self, lease: Lease) -> None:
        """Count a lease that came back."""
        scope = lease.more.scope
        if scope is None or lease.more.foreign:
            return
        held = lease.returned - lease.taken
        known = self._of(scope)
        known.spans.append((lease.taken, lease.returned))
        known.totals = _plus(known.totals, model.ScopeTotals("", 0, 1, 0, 0.0, held, lease.busy))
        if len(known.spans) > _MOST_SPANS:
            self._count(known, 0)

    def waited(self, wait: Wait) -> None:
        """Count a wait that is over."""
        if wait.scope is not None:
            known = self._of(wait.scope)
            known.totals = _plus(known.totals, model.ScopeTotals("", 0, 0, 0, wait.until - wait.since, 0.0, 0.0))

    def settle(self) -> None:
        """Take in the flows that have ended."""
        for key, known in list(self._open.items()):
            if known.scope.ended or len(self._open) > _MOST_OPEN:
                del self._open[key]
                self._count(known, 0 if known.scope.counted else 1)
                known.scope.counted = True

    def totals(self) -> tuple[model.ScopeTotals, ...]:
        """Give the sums, those that held longest first."""
        return tuple(sorted(self._ended.values(), key=lambda totals: -totals.use_seconds_total))

    def _of(self, scope: Scope) -> _Open:
        known = self._open.get(scope.serial)
        if known is None:
            known = self._open[scope.serial] = _Open(scope, model.ScopeTotals(""))
        return known

    def _count(self, known: _Open, flows: int) -> None:
        name = known.scope.name
        if name not in self._ended and len(self._ended) >= MOST_NAMES:
            name = OTHER
        more = replace(known.totals, flows_total=flows, most_at_once=_most_at_once(known.spans))
        self._ended[name] = replace(_plus(self._ended.get(name, model.ScopeTotals(name)), more), name=name)
        known.totals, known.spans = model.ScopeTotals(""), []


def _plus(one: model.ScopeTotals, other: model.ScopeTotals) -> model.ScopeTotals:
    return model.ScopeTotals(
        one.name,
        one.flows_total + other.flows_total,
        one.leases_total + other.leases_total,
        max(one.most_at_once, other.most_at_once),
        one.wait_seconds_total + other.wait_seconds_total,
        one.use_seconds_total + other.use_seconds_total,
        one.busy_seconds_total + other.busy_seconds_total,
    )


def _most_at_once(spans: list[tuple[float, float]]) -> int:
    """Give how many of the spans overlap at most."""
    if len(spans) < 2:
        return len(spans)
    steps = sorted([(taken, 1) for taken, _ in spans] + [(returned, -1) for _, returned in spans])
    most = now = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most
