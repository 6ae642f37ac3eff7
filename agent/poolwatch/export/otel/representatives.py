"""Values that stand for others: as many in each bucket of a histogram, and with the same sum."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nextafter


def representatives(bounds: Sequence[float], counts: Sequence[int], total: float) -> list[tuple[float, int]]:
    """Give one value for each bucket that is not empty, with its count; together they make ``total``.

    ``bounds`` are upper bounds, the last is infinity. A total that no values of these buckets can make is come near to.
    """
    filled = [(low, high, n) for low, high, n in zip([0.0, *bounds], bounds, counts, strict=False) if n]
    finite = [(low, high, n) for low, high, n in filled if high != inf]
    beyond = [(low, n) for low, high, n in filled if high == inf]
    least = sum(low * n for low, _, n in filled)
    room = sum((high - low) * n for low, high, n in finite)
    # How far above its lower bound each value lies; what lies in the last bucket takes half of what is over.
    share = (total - least) / room / (2 if beyond else 1) if room else 0.0
    share = min(max(share, 0.0), 1.0)
    values = [(_above(low, min(low + share * (high - low), high)), n) for low, high, n in finite]
    for low, n in beyond:
        values.append((_above(low, (total - sum(value * often for value, often in values)) / n), n))
    return values


def _above(low: float, value: float) -> float:
    """Give ``value``, but above the lower bound, which is the upper one of the bucket below."""
    return max(value, nextafter(low, inf)) if low else max(value, 0.0)
