"""Metrics per flow: the names with series of their own, and their sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from poolwatch.export import names
from poolwatch.export.names import Name
from poolwatch.model import Json, added

MAX_SCOPES = 100
"""Flows with series of their own; the others share the scope ``other``."""
OTHER = "other"
_FIELDS = (
    (names.SCOPE_LEASES, "leases_total"),
    (names.SCOPE_WAIT, "wait_seconds_total"),
    (names.SCOPE_USE, "use_seconds_total"),
    (names.SCOPE_BUSY, "busy_seconds_total"),
)


class ScopeChoice:
    """The flows that have series of their own. One that was chosen stays, or ``other`` would shrink."""

    def __init__(self) -> None:
        self._chosen: set[str] = set()

    def sums(self, scopes: Iterable[Json]) -> Iterator[tuple[Name, dict[tuple[str], float]]]:
        """Give for each metric the sum of each flow; the longest users are chosen first."""
        ranked = sorted(scopes, key=lambda scope: scope["use_seconds_total"], reverse=True)
        labelled = [(self._label(scope["name"]), scope) for scope in ranked]
        for name, field in _FIELDS:
            terms: dict[tuple[str], list[float]] = {}
            for label, scope in labelled:
                terms.setdefault((label,), []).append(scope[field])
            yield name, {label: added(values) for label, values in terms.items()}

    def _label(self, name: str) -> str:
        if name not in self._chosen and len(self._chosen) >= MAX_SCOPES:
            return OTHER
        self._chosen.add(name)
        return name
