"""Which finding comes first."""

from __future__ import annotations

from collections.abc import Iterable

from poolwatch.model import GRADES, KINDS, Json


def worst_first(findings: Iterable[Json]) -> list[Json]:
    """Sort findings: open ones before resolved ones, then by grade, kind, and count."""
    return sorted(findings, key=_rank)


def _rank(finding: Json) -> tuple[bool, int, int, int]:
    kind = finding["kind"]
    weight = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return finding["state"] != "open", GRADES.index(finding["grade"]), weight, -finding["count"]
