"""The book of faults: what is open, what was told of it, and what is to be told now.

It knows neither sinks nor threads. Times are Unix seconds, so that a book may be kept on a disk.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from poolwatch.alert.alert import Alert, Origin, State
from poolwatch.config import Config
from poolwatch.model import GRADES, Json, grade_at_least
from poolwatch.report.merge import finding_key

MOST = 1000
"""Faults kept; what is beyond is dropped and counted."""
SETTLE = 5.0
"""Seconds that a fault stays gone before it is called resolved: one that comes and goes is one that is there."""
_LONGEST_REPEAT = 24 * 3600.0


@dataclass(slots=True)
class _Fault:
    id: str
    finding: Json
    opened_at: float
    told: int = 0
    told_grade: str = ""
    repeat_at: float = 0.0
    repeat_after: float = 0.0
    gone_at: float | None = None


class Book:
    """The faults that pass the options' grade and kinds, each with what was told of it."""

    def __init__(self, config: Config, origin: Origin, settle: float = SETTLE) -> None:
        self._config = config
        self._origin = origin
        self._settle = settle
        self._faults: dict[Any, _Fault] = {}
        self.dropped = 0

    def see(self, finding: Json, now: float) -> None:
        """Take how a finding stands now."""
        key = finding_key(finding)
        fault = self._faults.get(key)
        if fault is not None:
            fault.finding = finding
            gone_at = fault.gone_at or now
            fault.gone_at = gone_at if finding["state"] == "resolved" else None
        elif finding["state"] == "open" and self._wanted(finding):
            if len(self._faults) >= MOST:
                self.dropped += 1
                return
            self._faults[key] = _Fault(uuid.uuid4().hex, finding, finding["first_seen"])

    def see_all(self, findings: Iterable[Json], now: float) -> None:
        """Take a whole report's findings; what is open here and not among them has gone."""
        keys = set()
        for finding in findings:
            keys.add(finding_key(finding))
            self.see(finding, now)
        self.keep(keys, now)

    def keep(self, keys: Collection[object], now: float) -> None:
        """Let those be gone that are not among ``keys``: another took their place, or who had them has ended."""
        self._gone([key for key in self._faults if key not in keys], "it is reported no more", now)

    def close(self, why: str, now: float) -> None:
        """Let everything be resolved for one reason, without waiting whether it comes again."""
        self._settle = 0.0
        self._gone(list(self._faults), why, now)

    def _gone(self, keys: Iterable[Any], why: str, now: float) -> None:
        for key in keys:
            fault = self._faults[key]
            if fault.gone_at is None:
                fault.gone_at = now
                fault.finding = {**fault.finding, "state": "resolved", "resolution": why}

    def _wanted(self, finding: Json) -> bool:
        kinds = set(self._config.alert_kinds)
        named = bool(kinds & {"all", finding["kind"], finding["kind"].partition(".")[0]})
        return named and grade_at_least(finding["grade"], self._config.alert_grade)

    def due(self, now: float) -> list[Alert]:
        """Give what is to be told now, and write it down as told."""
        alerts = [self._told(fault, state, now) for fault, state in self._news(now)]
        self._faults = {key: fault for key, fault in self._faults.items() if not self._is_over(fault, now)}
        return alerts

    def _news(self, now: float) -> Iterable[tuple[_Fault, State]]:
        for fault in self._faults.values():
            if self._is_over(fault, now):
                if fault.told:
                    yield fault, "resolved"
            elif fault.gone_at is None:
                state = self._state(fault, now)
                if state is not None:
                    yield fault, state

    def _is_over(self, fault: _Fault, now: float) -> bool:
        return fault.gone_at is not None and now - fault.gone_at >= self._settle

    def _state(self, fault: _Fault, now: float) -> State | None:
        if not fault.told:
            return "opened"
        if GRADES.index(fault.finding["grade"]) < GRADES.index(fault.told_grade):
            return "stronger"
        return "repeated" if now >= fault.repeat_at else None

    def _told(self, fault: _Fault, state: State, now: float) -> Alert:
        fault.repeat_after = min(2 * fault.repeat_after or self._config.alert_repeat, _LONGEST_REPEAT)
        fault.repeat_at = now + fault.repeat_after
        fault.told += 1
        fault.told_grade = fault.finding["grade"]
        at = fault.gone_at if state == "resolved" and fault.gone_at else now
        return Alert(fault.id, state, fault.told, fault.finding, fault.opened_at, at, self._origin)

    def open_ones(self) -> list[Alert]:
        """Give again what was last told of each fault."""
        return [
            Alert(fault.id, "repeated", fault.told, fault.finding, fault.opened_at, fault.opened_at, self._origin)
            for fault in self._faults.values()
            if fault.told
        ]

    def to_json(self) -> list[Json]:
        """Give the faults, to be kept on a disk."""
        return [asdict(fault) for fault in self._faults.values()]

    def restore(self, faults: Iterable[Json]) -> None:
        """Go on with faults that were kept; raises TypeError or KeyError where they are none."""
        restored = [_Fault(**fault) for fault in faults]
        self._faults = {finding_key(fault.finding): fault for fault in restored}
