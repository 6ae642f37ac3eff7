"""Floors: how many connections of a pool lie out, unused by anybody, through a whole window of time.

Load comes and goes above the floor; what a slow leak keeps is the floor. Each pool's floor is remembered as a
staircase: a step for each window that was higher than all before it, taken off again where the floor falls below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from poolwatch.ledger.leases import Lease

_MOST_STEPS = 100
"""Of one pool; of more, the highest are kept."""
Step = tuple[float, int]
"""When the window ended (monotonic) and how many connections lay unused in it."""


class Floors:
    """The staircase of each pool, by key; a pool whose floor is zero has none."""

    def __init__(self, window: float, now: float) -> None:
        self._window = window
        self._begun = now
        self.steps: dict[int, tuple[Step, ...]] = {}

    def look(self, out: Iterable[Lease], now: float) -> None:
        """Take the floor of every pool where a window is over; ``out`` are the leases that are out."""
        if now - self._begun < self._window:
            return
        begun, self._begun = self._begun, now
        floors = Counter(lease.conn.pool.key for lease in out if _lay_unused(lease, begun))
        self.steps = {key: _climbed(self.steps.get(key, ()), floor, now) for key, floor in floors.items()}


def _lay_unused(lease: Lease, since: float) -> bool:
    conn = lease.conn
    return lease.used <= since and conn.inside is None and not (conn.pool.shared or lease.more.detached)


def _climbed(steps: tuple[Step, ...], floor: int, now: float) -> tuple[Step, ...]:
    held = tuple(step for step in steps if step[1] <= floor)
    if held and held[-1][1] == floor:
        return held
    return (*held, (now, floor))[-_MOST_STEPS:]
