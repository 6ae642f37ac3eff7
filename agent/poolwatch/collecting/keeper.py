"""Reads a spool folder: who lives is shown as it is, who has ended is added to what is carried over."""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from poolwatch.collecting import capacity, carried, shared, stuck, sums
from poolwatch.collecting.carried import Carried
from poolwatch.collecting.ended import died
from poolwatch.collecting.living import Living
from poolwatch.collecting.servers import Server
from poolwatch.errors import ReportError
from poolwatch.host.native import pid_namespace
from poolwatch.model import Json
from poolwatch.report import spool
from poolwatch.report.merge import merge

_NAME = re.compile(r"(\d{1,10})-(\d{1,18})\.json")
_LOCK_FILE = "carried.lock"
_MOST_MOVES = 4
"""Files, one after the other, that a process may have which changes its user."""
_LOCK_PATIENCE = 2.0
"""Seconds to wait for another reader of the folder."""
_FOREIGN_AFTER = 60.0
"""Seconds without a heartbeat after which a process counts as ended whose pid cannot be asked for."""
_LINGER = 10.0
"""Seconds that the file of a dead process stays for others, such as a ``poolwatch run`` that is about to end."""


class Keeper:
    """Gives the report of all processes in ``directory``. Threads and processes may do so at the same time.

    ``servers`` are those whose limits the pools are compared with.
    """

    def __init__(self, directory: str, servers: Sequence[Server] = ()) -> None:
        self._directory = directory
        self._servers = servers
        self._living = Living()
        self._last: dict[str, tuple[bytes, Json]] = {}
        self._lock = threading.Lock()
        self._pid_namespace = pid_namespace()

    def report(self) -> Json:
        """Merge the reports of the living and the sums of the dead; raises OSError where others keep the folder."""
        with self._held():
            now = time.time()
            state, living = self._kept(now)
            reports = [report for name in living if (report := self._shown(state, name, now)) is not None]
            servers = capacity.told(self._servers, reports)
            sharing = shared.findings(reports)
            self._stand(state, shared.unsaid(sharing, reports), servers, now)
            self._save(state)
        ended = {**state.report, "findings": [*state.report["findings"], *state.standing]}
        merged = merge([*reports, ended])
        findings = shared.confirm(merged["findings"], sharing)
        return {**merged, "findings": findings, "servers": servers, "generated_at": now}

    def _stand(self, state: Carried, sharing: list[Json], servers: list[Json], now: float) -> None:
        known = {(capacity.KIND, server["name"]) for server in servers if server["max_connections"] is not None}
        state.stand(
            [*sharing, *capacity.findings(servers)],
            lambda one: one["kind"] == shared.KIND or (one["kind"], one["pool"]) in known,
            now,
        )

    def tend(self) -> None:
        """Count those who have ended, as ``report`` does; raises OSError where others keep the folder."""
        with self._held():
            self._save(self._kept(time.time())[0])

    def _kept(self, now: float) -> tuple[Carried, list[str]]:
        """Give what is carried over with those who have ended since, and the files of the living, oldest first."""
        state = carried.read(self._directory)
        # Not a listing that is empty because it failed: what is forgotten here would be counted again.
        names = [name for name in os.listdir(self._directory) if name.endswith(".json")]
        state.counted &= set(names)
        state.bad &= {*names, carried.FILE}
        living, replaced = self._parted(names, state)
        for name in set(names) - set(living) - state.counted:
            if _moved(name) in names:  # it has all that is in this one
                state.counted.add(name)
            else:
                self._count(state, name, now, exited=name in replaced or self._is_foreign(state, name))
        self._last = {name: last for name, last in self._last.items() if name in set(living)}
        state.settle(now)
        state.seat(living)
        return state, living

    def _parted(self, names: list[str], state: Carried) -> tuple[list[str], set[str]]:
        """Give the files of the living, and of those that went on under another name: exec, or install anew."""
        starts: dict[int, list[tuple[int, str]]] = {}
        for name in names:
            if match := _NAME.fullmatch(name):
                starts.setdefault(int(match[1]), []).append((int(match[2]), name))
        living, replaced = [], set()
        for pid, found in starts.items():
            *earlier, (start, name) = sorted(found)
            if name not in state.counted and self._lives(state, name, pid, start / 1e6):
                living.append((start, name))
                replaced |= {other for began, other in earlier if self._living.alive(pid, began / 1e6)}
        return [name for _, name in sorted(living)], replaced

    def _lives(self, state: Carried, name: str, pid: int, started_at: float) -> bool:
        if self._is_foreign(state, name):
            ended = self._last[name][1]["processes"][0]["ended_at"] is not None
            return not ended and time.time() - self._heartbeat(name) < _FOREIGN_AFTER
        return self._living.alive(pid, started_at)

    def _is_foreign(self, state: Carried, name: str) -> bool:
        """Tell whether a pid is of another table than ours, as in containers: here it means nobody or another."""
        report = self._last[name][1] if name in self._last else self._read(state, name)
        theirs = report["processes"][0].get("pid_namespace", 0) if report else 0
        return theirs not in (0, self._pid_namespace)

    def _count(self, state: Carried, name: str, now: float, exited: bool) -> None:
        # Read after its process was seen dead: nobody writes it any more.
        report = self._read(state, name)
        if report is not None:
            silent = report["processes"][0]["ended_at"] is None and not exited
            state.add(name, died(report) if silent else report, now)

    def _shown(self, state: Carried, name: str, now: float) -> Json | None:
        report = self._read(state, name)
        if report is None:
            return None
        process = {**report["processes"][0], "slot": state.slots[name]}
        silence = now - self._heartbeat(name)
        if silence > stuck.patience(process):
            states = {} if self._is_foreign(state, name) else stuck.states(process["pid"])
            process |= {"silent_seconds": silence, **states}
        return {**report, "processes": [process]}

    def _heartbeat(self, name: str) -> float:
        try:
            return os.stat(os.path.join(self._directory, name)).st_mtime
        except OSError:
            return float("inf")

    def _read(self, state: Carried, name: str) -> Json | None:
        """Read a report, or give the last one that could be read; None where there is none."""
        last = self._last.get(name)
        try:
            data = spool.read_bytes(os.path.join(self._directory, name), os.O_NOFOLLOW)
            if last is None or data != last[0]:
                self._last[name] = data, _vetted(spool.checked(spool.parsed(data)), name)
            state.bad.discard(name)
        except ReportError:
            state.spoiled(name)
        return self._last[name][1] if name in self._last else None

    def _save(self, state: Carried) -> None:
        """Write what is carried over where it has changed, then remove what is in it."""
        try:
            carried.write(self._directory, state)
        except OSError:
            return  # what is not written is counted anew, from files that are still there
        for name in state.counted:
            if time.time() - self._heartbeat(name) > _LINGER:
                spool.remove(os.path.join(self._directory, name))
                spool.remove(os.path.join(self._directory, f"{name}.{name.partition('-')[0]}.tmp"))
                spool.remove(os.path.join(self._directory, name.removesuffix(".json") + spool.UNWRITTEN_SUFFIX))

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other threads and processes from reading and writing the folder meanwhile."""
        with self._lock:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                lock = os.open(os.path.join(self._directory, _LOCK_FILE), flags, 0o600)
            except OSError:  # a folder that cannot be written to: nobody can change what is carried over
                yield
                return
            try:
                _take(lock)
                yield
            finally:
                os.close(lock)


def _take(lock: int) -> None:
    until = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _moved(name: str) -> str:
    """Name the file in which a process went on that had changed its user."""
    match = _NAME.fullmatch(name)
    return f"{match[1]}-{int(match[2]) + 1}.json" if match else ""


def _vetted(report: Json, name: str) -> Json:
    names = (spool.file_name(report, moves) for moves in range(_MOST_MOVES))
    if len(report["processes"]) != 1 or name not in names:
        raise ReportError("not the report of the one process that its name says")
    if problem := sums.problem(report):
        raise ReportError(problem)
    return report
