"""Expressions of Prometheus, as far as tests look into them."""

from __future__ import annotations

import re

from poolwatch.export.names import NAMES

_LABELS = frozenset(label for name in NAMES for label in name.labels)


def metrics(expression: str) -> set[str]:
    """Give the names of the metrics that an expression reads, histograms without their endings."""
    found = re.findall(r"\b(?:poolwatch|db_client_connection)_\w+", expression)
    return {re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name) for name in found} - _LABELS
