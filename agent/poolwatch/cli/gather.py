"""Reads the spool of a running or ended command and makes one report of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from poolwatch.collecting.ended import with_ended
from poolwatch.collecting.living import alive
from poolwatch.model import Json, grade_at_least
from poolwatch.report import merge, spool


@dataclass(frozen=True, slots=True)
class Gathering:
    """Where to look: what lay in ``directory`` before (``ignore``) belongs to others."""

    directory: str
    ignore: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)
    """File name to the reason why it could not be read."""

    @classmethod
    def fresh(cls, directory: str) -> Gathering:
        """Look only at what comes into ``directory`` from now on."""
        return cls(directory, frozenset(os.listdir(directory)))

    def report(self) -> Json:
        """Merge what all processes have reported; those that died holding leases get a finding for it."""
        return self._with_unseen(merge.merge(with_ended(report) for report in self._reports()))

    def running(self) -> Json:
        """Give the same while the command runs: a process that has gone holds nothing any more."""
        return self._with_unseen(merge.merge(_now(self._reports())))

    def untold(self, signal: str) -> Json:
        """Give the same without the processes that send this telemetry (metrics, spans, logs) themselves."""
        reports = [report for report in self._reports() if signal not in report["processes"][0].get("telemetry", ())]
        return merge.merge(_now(reports))

    def notes(self) -> list[Json]:
        """Give the notes of processes that could not be hooked."""
        return spool.read_notes(self.directory, self.ignore)

    def wait(self, seconds: float) -> None:
        """Wait, ``seconds`` at most, until every process that reported has said its last word or is gone."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(_speaks(report) for report in self._reports()):
            time.sleep(0.02)

    def _with_unseen(self, report: Json) -> Json:
        """Add what is missing, in sentences: who could not write what it knew."""
        unwritten = spool.read_unwritten(self.directory, self.ignore)
        unseen = [f"process {pid} could not write its report: {reason}" for pid, reason in unwritten.items()]
        return {**report, "unseen": unseen} if unseen else report

    def _reports(self) -> list[Json]:
        self.skipped.clear()
        return spool.read_all(self.directory, self.skipped, self.ignore)


def _speaks(report: Json) -> bool:
    process = report["processes"][0]
    return process["ended_at"] is None and alive(process)


def _now(reports: list[Json]) -> Iterator[Json]:
    """Give what processes have said as it is now; of a pid only the youngest may live: ``exec`` keeps it."""
    youngest: dict[int, float] = {}
    for report in reports:
        pid, start = report["processes"][0]["pid"], report["processes"][0]["started_at"]
        youngest[pid] = max(start, youngest.get(pid, start))
    for report in reports:
        process = report["processes"][0]
        lives = process["started_at"] == youngest[process["pid"]] and process["ended_at"] is None and alive(process)
        yield report if lives else _emptied(with_ended(report))


def _emptied(report: Json) -> Json:
    pools = [{**pool, "used": 0, "idle": 0, "waiting": 0, "oldest_lease_seconds": 0.0} for pool in report["pools"]]
    return {**report, "leases": [], "pools": [{**pool, "leases_by_owner": {}, "floors": []} for pool in pools]}


def trips(report: Json, floor: str) -> bool:
    """Tell whether a finding is at least of grade ``floor``, and open or proved."""
    return floor != "never" and any(
        grade_at_least(finding["grade"], floor) and (finding["state"] == "open" or finding["grade"] == "proved")
        for finding in report["findings"]
    )
