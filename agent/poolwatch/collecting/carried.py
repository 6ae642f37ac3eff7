"""What the processes that ended have left: one file in the spool folder, which is all the memory there is.

Whoever reads the folder begins with this file and writes it back, so that a restart loses nothing and several readers
agree. A process's file is removed only after this one names it among those that are counted.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from poolwatch import __version__
from poolwatch.collecting import standing, sums
from poolwatch.errors import ReportError
from poolwatch.model import REPORT_VERSION, Json
from poolwatch.report import spool

FILE = "carried.over"
MAX_SLOTS = 256
"""Processes with a slot, and a series, of their own; those beyond share the slot ``MAX_SLOTS``."""
_SETTLED_AFTER = 300.0
"""Seconds after which a finding of a dead process is no longer open: its connections went with it."""
_VERSION = 1


@dataclass(slots=True)
class Carried:
    """The sums of the dead as a report of one process, pid 0, and which files are in them."""

    report: Json
    counted: set[str] = field(default_factory=set)
    """Files that are in the sums and may still lie in the folder."""
    bad: set[str] = field(default_factory=set)
    """Files that could not be read and are counted as such."""
    standing: list[Json] = field(default_factory=list)
    """What was found over several processes, by whoever reads the folder."""
    slots: dict[str, int] = field(default_factory=dict)
    """File of a living process to its slot."""
    written: bytes = b""
    """What the file holds."""

    def to_bytes(self) -> bytes:
        """Give the content of the file."""
        return json.dumps(
            {
                "version": _VERSION,
                "counted": sorted(self.counted),
                "bad": sorted(self.bad),
                "slots": self.slots,
                "standing": self.standing,
                "report": self.report,
            }
        ).encode()

    def add(self, name: str, report: Json, now: float) -> None:
        """Count a process that has ended; what was open is true until ``now``, Unix time."""
        findings = [{**one, "last_seen": now} if one["state"] == "open" else one for one in report["findings"]]
        self.report = sums.add(self.report, {**report, "findings": findings})
        self.counted.add(name)

    def stand(self, found: list[Json], looked_for: Callable[[Json], bool], now: float) -> None:
        """Take what was found over several processes ``now`` (Unix time); see ``standing.updated``."""
        before, self.standing = self.standing, standing.updated(self.standing, found, looked_for, now)
        self.report = sums.count(self.report, standing.opened(before, self.standing))

    def spoiled(self, name: str) -> None:
        """Count a file that could not be read, once."""
        if name not in self.bad:
            self.bad.add(name)
            dropped = self.report["processes"][0]["dropped"]
            dropped["spool_files"] = dropped.get("spool_files", 0) + 1

    def settle(self, now: float) -> None:
        """Resolve what was open and has been quiet since long before ``now``, Unix time."""
        resolved = {"state": "resolved", "resolution": "the process has ended and its connections with it"}
        self.report["findings"] = [
            {**one, **resolved} if one["state"] == "open" and now - one["last_seen"] > _SETTLED_AFTER else one
            for one in self.report["findings"]
        ]

    def seat(self, names: list[str]) -> None:
        """Give each living process a slot, the oldest first; a slot is free again when its process has ended."""
        self.slots = {name: slot for name, slot in self.slots.items() if name in set(names) and slot < MAX_SLOTS}
        free = iter(sorted(set(range(MAX_SLOTS)) - set(self.slots.values())))
        for name in names:
            if name not in self.slots:
                self.slots[name] = next(free, MAX_SLOTS)


def read(directory: str) -> Carried:
    """Read what is carried over; a file that is none of ours is counted and begun anew. Raises OSError."""
    path = os.path.join(directory, FILE)
    if not os.path.lexists(path):
        return Carried(_nobody())
    try:
        data = spool.read_bytes(path)
        return _parsed(spool.parsed(data), data)
    except ReportError as error:
        if isinstance(error.__cause__, OSError):  # no file descriptors left, say: what is in it is not lost
            raise error.__cause__ from None
        carried = Carried(_nobody())
        carried.spoiled(FILE)
        return carried


def write(directory: str, carried: Carried) -> None:
    """Replace the file where something has changed; raises OSError."""
    data = carried.to_bytes()
    if data != carried.written:
        spool.replace(os.path.join(directory, FILE), data)


def _parsed(value: object, data: bytes) -> Carried:
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        raise ReportError(f"not version {_VERSION}")
    report = spool.checked(value.get("report"))
    slots = value.get("slots")
    whole = len(report["processes"]) == 1 and {"sites", "scopes", "findings_total"} <= report.keys()
    if not whole or sums.problem(report):
        raise ReportError("not the sums of processes that ended")
    if not isinstance(slots, dict) or not all(type(slot) is int for slot in slots.values()):
        raise ReportError("slots are no numbers")
    report["processes"][0].setdefault("dropped", {})
    beside = spool.checked({**report, "findings": value.get("standing", [])})
    if sums.problem(beside):
        raise ReportError("not findings over several processes")
    found = beside["findings"]
    return Carried(report, _strings(value.get("counted")), _strings(value.get("bad")), found, slots, data)


def _strings(value: Any) -> set[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ReportError("not a list of names")
    return set(value)


def _nobody() -> Json:
    process = {
        "pid": 0, "ppid": 0, "argv": ["(processes that ended)"], "started_at": 0.0, "ended_at": 0.0, "exit": None,
        "versions": {"poolwatch": __version__, "python": platform.python_version()},
        "hooks": {}, "hook_errors": {}, "dropped": {}, "remedies": {}, "watcher_cpu_seconds": 0.0,
        "processes_ended": 0,
    }  # fmt: skip
    lists: Json = {name: [] for name in ("pools", "leases", "findings", "sites", "scopes", "findings_total")}
    return {"version": REPORT_VERSION, "generated_at": 0.0, "processes": [process], **lists}
