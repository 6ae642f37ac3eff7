"""Cumulative histograms of reports: how they are read, and added up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from poolwatch.model.jsonable import Json

Table = tuple[list[float], list[int]]
"""Upper bounds, and the counts below each, with a zero first for what lies below the first bound."""


def table(histogram: Json) -> Table:
    """Read the buckets of a histogram; raises ValueError, TypeError or OverflowError where they are none."""
    bounds, counts = [], [0]
    for bound, count in histogram["buckets"]:
        bounds.append(float(bound))
        counts.append(int(count))
    return bounds, counts


def summed(tables: Iterable[Table]) -> Table:
    """Add up tables; where bounds differ, a bound counts what is surely below it."""
    found = list(tables)
    if len(found) == 1:
        return found[0]
    bounds = sorted({bound for bounds, _ in found for bound in bounds})
    return bounds, [0, *(sum(counts[bisect_right(table, bound)] for table, counts in found) for bound in bounds)]
