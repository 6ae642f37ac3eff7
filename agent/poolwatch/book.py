"""The book of findings: what detectors say at each look becomes something that opens, repeats and is resolved."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from poolwatch.model import GRADES, Finding, FindingTotal, Grade

Change = tuple[Literal["opened", "repeated", "stronger", "resolved"], Finding]

_RETURNABLE = ("leak.scope_ended", "leak.owner_ended", "leak.overdue", "hold.", "drift.", "orphan.")
"""Kinds about leases that are out: they are resolved when the lease comes back, the floor falls, or the
socket is closed."""
_WEAKER = {
    "leak.collected": ("leak.scope_ended", "leak.owner_ended", "leak.overdue", "hold.idle_in_transaction"),
    "leak.scope_ended": ("leak.owner_ended", "leak.overdue", "hold.idle_in_transaction"),
    "leak.detached": ("leak.overdue",),
    "leak.owner_ended": ("leak.overdue", "hold.idle_in_transaction"),
    "starvation.self_deadlock": ("starvation.exhausted",),
    "crossing.concurrent": ("crossing.interleaved",),
    "crossing.flow": ("crossing.interleaved",),
}
"""What a finding makes superfluous: for the same leases, the same pool (starvation) or the same site (crossings)."""


_MOST_LEFT_OUT = 10_000
"""Faults kept in mind for which there was no room."""


@dataclass(slots=True)
class _Entry:
    finding: Finding
    subjects: set[int] = field(default_factory=set)
    about: frozenset[int] = frozenset()
    """Those of ``subjects`` that the finding's text and evidence are about; empty once they are back."""


class Findings:
    """Findings of one process by fault: kind, pool and site."""

    def __init__(self, *, max_findings: int, resolve_after: float) -> None:
        self._entries: dict[tuple[object, ...], _Entry] = {}
        self._closed: list[Finding] = []
        self._max = max_findings
        self._resolve_after = resolve_after
        self._number = 0
        self.dropped = 0
        self._left_out: set[tuple[object, ...]] = set()
        self.totals: Counter[tuple[str, Grade, str]] = Counter()
        """(kind, grade, pool) to how often it was seen; never falls."""

    def all(self) -> tuple[Finding, ...]:
        """Give the findings, open ones first, in the order they were opened."""
        return (*(entry.finding for entry in self._entries.values()), *self._closed)

    def counted(self) -> tuple[FindingTotal, ...]:
        """Give how often each kind was seen on each pool."""
        return tuple(FindingTotal(kind, grade, pool, count) for (kind, grade, pool), count in list(self.totals.items()))

    def update(
        self, now: float, found: Iterable[Finding], returned: dict[int, float], remedied: frozenset[int] = frozenset()
    ) -> list[Change]:
        """Take what holds at this look; ``returned`` maps leases that came back to their age in seconds.

        Those in ``remedied`` were given back by poolwatch.
        """
        changes: list[Change] = []
        present: dict[tuple[object, ...], set[int]] = {}
        for finding in found:
            if finding.state == "resolved":
                changes.extend(self._take_resolved(now, finding))
                continue
            present.setdefault(finding.key, set()).update(finding.subjects)
            changes.extend(self._take(now, finding))
            self._supersede(finding)
        for key, entry in list(self._entries.items()):
            changes.extend(self._settle(now, key, entry, present.get(key, set()), returned, remedied))
        return changes

    def subjects(self) -> dict[str, frozenset[int]]:
        """Give for each open finding, by its id, the ids of all that it is about by now."""
        return {entry.finding.id: frozenset(entry.subjects) for entry in list(self._entries.values())}

    def dress(self, finding: Finding, **evidence: object) -> Finding:
        """Replace fields of an open finding by evidence gathered for it."""
        entry = self._entries.get(finding.key)
        if finding in self._closed:
            at = self._closed.index(finding)
            self._closed[at] = replace(finding, **evidence)  # type: ignore[arg-type]
            return self._closed[at]
        dressed = replace(entry.finding if entry else finding, **evidence)  # type: ignore[arg-type]
        if entry is not None:
            entry.finding = dressed
        return dressed

    def _take(self, now: float, found: Finding) -> list[Change]:
        entry = self._entries.get(found.key)
        if entry is None:
            return [] if self._is_superfluous(found) else self._open(now, found)
        old = entry.finding
        fresh = len(found.subjects - entry.subjects) if found.subjects else 1
        entry.subjects |= found.subjects
        self.totals[found.kind, found.grade, found.pool] += fresh
        stronger = GRADES.index(found.grade) < GRADES.index(old.grade)
        if stronger or (found.subjects and not entry.about):
            entry.about = found.subjects
            old = _about(found, old)
        if found.one_per_pool or entry.about & found.subjects:
            old = replace(old, summary=found.summary, lease={**old.lease, **found.lease})
        grade = found.grade if stronger else old.grade
        entry.finding = replace(old, count=old.count + fresh, last_seen=now, grade=grade)
        if not fresh and not stronger:
            return []
        return [("stronger" if stronger else "repeated", entry.finding)]

    def _take_resolved(self, now: float, found: Finding) -> list[Change]:
        """Keep what was remedied as soon as it was seen: one finding with a count, which never was open."""
        for at, old in enumerate(self._closed):
            if (old.key, old.resolution) == (found.key, found.resolution):
                self._closed[at] = replace(old, count=old.count + 1, last_seen=now)
                self.totals[found.kind, found.grade, found.pool] += 1
                return [("repeated", self._closed[at])]
        finding = self._new(now, found)
        if finding is None:
            return []
        self._closed.append(finding)
        return [("opened", finding)]

    def _open(self, now: float, found: Finding) -> list[Change]:
        before = self._former(found)
        finding = self._new(now, found)
        if finding is None:
            return []
        if before is not None:
            count = before.count + finding.count
            finding = replace(finding, id=before.id, first_seen=before.first_seen, count=count)
        self._entries[found.key] = _Entry(finding, set(found.subjects), found.subjects)
        return [("opened", finding)]

    def _former(self, found: Finding) -> Finding | None:
        """Take out the resolved finding of the same fault that is no stronger: it opens again, and counts on."""
        for at, old in enumerate(self._closed):
            if old.key == found.key and GRADES.index(found.grade) <= GRADES.index(old.grade):
                return self._closed.pop(at)
        return None

    def _new(self, now: float, found: Finding) -> Finding | None:
        """Number and count what is seen for the first time; None where there is no room for it."""
        if len(self._entries) + len(self._closed) >= self._max and not self._make_room(found):
            self._drop(found)
            return None
        self._number += 1
        count = max(1, len(found.subjects)) if not found.one_per_pool else 1
        self.totals[found.kind, found.grade, found.pool] += count
        return replace(
            found,
            id=f"{os.getpid()}-{self._number}",
            pid=os.getpid(),
            first_seen=found.first_seen or now,
            last_seen=now,
            count=count,
        )

    def _make_room(self, found: Finding) -> bool:
        """Drop the oldest that is resolved, else the youngest of the weakest, where ``found`` is stronger."""
        if self._closed:
            self._drop(self._closed.pop(0))
            return True
        weakest = max(reversed(self._entries.values()), key=lambda entry: GRADES.index(entry.finding.grade)).finding
        if GRADES.index(found.grade) >= GRADES.index(weakest.grade):
            return False
        self._drop(self._entries.pop(weakest.key).finding)
        return True

    def _drop(self, finding: Finding) -> None:
        """Count what there is no room for: a fault once, as long as there are not very many."""
        if finding.key not in self._left_out:
            self.dropped += 1
        if len(self._left_out) < _MOST_LEFT_OUT:
            self._left_out.add(finding.key)

    def _supersede(self, stronger: Finding) -> None:
        for key, entry in list(self._entries.items()):
            weaker = entry.finding
            if weaker.kind not in _WEAKER.get(stronger.kind, ()) or weaker.key[1] != stronger.key[1]:
                continue
            shared = entry.subjects & stronger.subjects
            if stronger.kind.startswith("crossing.") and weaker.site != stronger.site:
                continue
            if shared == entry.subjects or stronger.one_per_pool:
                del self._entries[key]
            elif shared:
                entry.subjects -= shared
                entry.finding = replace(weaker, count=max(1, weaker.count - len(shared)))

    def _is_superfluous(self, found: Finding) -> bool:
        """Tell whether an open finding about the same pool says more than ``found`` would."""
        return found.one_per_pool and any(
            found.kind in _WEAKER.get(entry.finding.kind, ()) and entry.finding.pool == found.pool
            for entry in self._entries.values()
        )

    def _settle(
        self,
        now: float,
        key: tuple[object, ...],
        entry: _Entry,
        present: set[int],
        returned: dict[int, float],
        remedied: frozenset[int],
    ) -> list[Change]:
        finding = entry.finding
        if finding.kind.startswith(_RETURNABLE):
            gone = entry.subjects - present
            entry.subjects &= present
            entry.about &= present
            if entry.subjects:
                return []
            ages = [returned[subject] for subject in gone if subject in returned]
            how = "given back by poolwatch" if gone & remedied else "returned"
            return self._resolve(key, now, f"{how} after {max(ages):.0f} s" if ages else "no longer so")
        if now - finding.last_seen >= self._resolve_after:
            return self._resolve(key, now, f"not seen again for {self._resolve_after:.0f} s")
        if not finding.kind.startswith("starvation."):
            entry.subjects &= present
        return []

    def _resolve(self, key: tuple[object, ...], now: float, why: str) -> list[Change]:
        finding = replace(self._entries.pop(key).finding, state="resolved", resolution=why)
        self._closed.append(finding)
        return [("resolved", finding)]


def _about(found: Finding, old: Finding) -> Finding:
    """Give an open finding with the text, and what belongs to it, of another lease of the same fault."""
    return replace(
        old,
        pool=found.pool,
        twin_of=found.twin_of,
        summary=found.summary,
        owners=found.owners,
        lease={},
        retained_by=found.retained_by,
    )
