"""Which finding comes first."""

from __future__ import annotations

from collections.abc import Iterable

from poolwatch.model import GRADES, Json

KINDS = (
    "crossing.process", "crossing.concurrent", "crossing.flow", "crossing.session", "crossing.loop",
    "crossing.transport", "crossing.route", "starvation.self_deadlock", "starvation.exhausted",
    "leak.collected", "leak.owner_ended", "leak.scope_ended", "leak.detached", "leak.process_ended",
    "starvation.blocked_loop", "orphan.socket", "drift.rising_floor", "leak.overdue",
    "hold.idle_in_transaction", "crossing.interleaved", "hold.idle",
)  # fmt: skip
"""Worst first: wrong data, then a standstill, then what leads to one."""


def worst_first(findings: Iterable[Json]) -> list[Json]:
    """Sort findings: open ones before resolved ones, then by grade, kind, and count."""
    return sorted(findings, key=_rank)


def _rank(finding: Json) -> tuple[bool, int, int, int]:
    kind = finding["kind"]
    weight = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return finding["state"] != "open", GRADES.index(finding["grade"]), weight, -finding["count"]
