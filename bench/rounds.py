"""Interleaved rounds: small batches that alternate between the modes, so that all meet the same weather.

A batch is cut into slices of a millisecond or less. A neighbour on the machine slows most slices, but not all: the
second percentile over all rounds is what an operation costs while nobody disturbs. What comes once in many operations
(a garbage collection, a look of the watcher) is not in it; ``bench.sustained`` counts that.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.batch import Sample, Size, measure
from bench.cases import Case
from bench.modes import BARE, Mode

FIRST_COUNT = 16
LOW = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: batches and slices for each mode, and the length of a bare slice in seconds."""

    rounds: int
    slices: int
    slice_seconds: float

    def times(self, factor: int) -> Plan:
        """Give the same with so many times the rounds: for figures that are judged."""
        return replace(self, rounds=self.rounds * factor)

    def on_end(self) -> Plan:
        """Give few slices of a second each, so that what comes once a second is in every one."""
        return Plan(max(2, self.rounds // 6), max(1, self.slices // 20), 1.0)


FULL = Plan(rounds=8, slices=40, slice_seconds=0.0007)
QUICK = Plan(rounds=5, slices=20, slice_seconds=0.0005)


@dataclass(frozen=True, slots=True)
class Result:
    """What one case cost: for each mode a sample a slice, in the order of the rounds."""

    case: Case
    samples: Mapping[str, list[Sample]]

    def low(self, mode: str) -> float:
        """Give the CPU seconds per operation, second percentile: the cost while nobody disturbs."""
        return _low([sample.cpu for sample in self.samples[mode]])

    def wall(self, mode: str) -> float:
        """Give the wall-clock seconds per operation, second percentile."""
        return _low([sample.wall for sample in self.samples[mode]])

    def added(self, mode: str) -> float:
        """Give the CPU seconds that the mode adds to bare."""
        return self.low(mode) - self.low(BARE)

    def spread(self, mode: str) -> float:
        """Give half the interquartile range, in seconds, of the mode's samples."""
        first, _, third = statistics.quantiles([sample.cpu for sample in self.samples[mode]], n=4)
        return (third - first) / 2


def _low(samples: list[float]) -> float:
    return sorted(samples)[int(len(samples) * LOW)]


def run_case(case: Case, modes: Mapping[str, Mode], plan: Plan, tick: Callable[[], None]) -> Result:
    """Measure one case in every mode, the order turned by one mode each round; ``tick`` is called after each round."""
    size = _size(case, modes[BARE], plan)
    samples: dict[str, list[Sample]] = {name: [] for name in modes}
    names = list(modes)
    for _ in range(plan.rounds):
        for name in names:
            samples[name] += _one(case, modes[name], size)
        names = names[1:] + names[:1]
        tick()
    return Result(case, samples)


def _one(case: Case, mode: Mode, size: Size) -> list[Sample]:
    with mode() as inspect:
        return measure(case, size, inspect)


def _size(case: Case, mode: Mode, plan: Plan) -> Size:
    """Find how many operations fill a slice; threads get few and long ones, for they take turns of 5 ms."""
    threads = case.workers > 1 and not case.is_async
    slices = max(2, plan.slices // 8) if threads else plan.slices
    seconds = plan.slice_seconds * (8 if threads else 1)
    first = _one(case, mode, Size(5, FIRST_COUNT * case.workers))
    return Size(slices, max(2 * case.workers, int(seconds / min(sample.wall for sample in first))))
