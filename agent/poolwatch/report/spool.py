"""The spool: one file per process with its latest report, in a folder that ``POOLWATCH_DIR`` names.

Written by the watcher of every hooked process, read by ``run``, ``top`` and whatever else looks from outside.
Imported in every hooked process, so only light parts of the standard library come in here.
"""

from __future__ import annotations

import json
import os
import stat

from poolwatch.errors import ReportError
from poolwatch.model import REPORT_VERSION, Json
from poolwatch.report import schema

DIRECTORY_VARIABLE = "POOLWATCH_DIR"
RUN_VARIABLE = "POOLWATCH_RUN"
"""Is 1 where a launcher has made the folder, and removes it."""
MAX_BYTES = 32 * 1024 * 1024
"""A larger file is not read."""
MAX_LEASES = 1000
"""Leases written; the youngest beyond are left out, so that a flood of leases costs no flood of bytes."""
INTERVALS_BETWEEN_WRITES = 4
"""At which mere numbers are written, and the heartbeat; what is out and what was found is written at once."""
NOTE_SUFFIX = ".note"
UNWRITTEN_SUFFIX = ".unwritten"
"""A link to the reason why a process could not write: it needs no room on the disk and no file descriptor."""

_VOLATILE = ("seen_at", "watcher_cpu_seconds")
"""What changes from look to look although nothing has happened."""


class Spool:
    """Keeps this process's file in ``directory`` up to date; follows a fork by itself.

    Nothing it meets on the disk is raised: ``errors`` counts writes that failed.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.errors = 0
        self._last: Json | None = None
        self._moves = 0
        self._troubled = False
        if os.environ.get(RUN_VARIABLE) != "1":  # else it was there, and nobody looks into one made anew
            self._make()

    def write(self, report: Json) -> bool:
        """Replace the file by ``report``; tells whether it was written (false: unchanged, or an error).

        The time of the file is the heartbeat: it is set anew also where nothing has changed.
        """
        essence = _essence(report)
        if essence == self._last and _beat(self._path(report)):
            return False
        try:
            self._put(report, json.dumps(report, allow_nan=False).encode())
        except (OSError, ValueError, TypeError) as error:
            self.errors += 1
            self._mark(report, error)
            return False
        self._last = essence
        self._unmark(report)
        return True

    def _make(self) -> None:
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        except OSError:
            self.errors += 1

    def _path(self, report: Json) -> str:
        return os.path.join(self.directory, file_name(report, self._moves))

    def _put(self, report: Json, data: bytes) -> None:
        """Replace the file, or go on in another where this process was another user's when it made the first."""
        try:
            replace(self._path(report), data)
        except PermissionError:
            if not _is_anothers(self._path(report)):
                raise
            self._moves += 1
            replace(self._path(report), data)

    def _mark(self, report: Json, error: Exception) -> None:
        """Leave word of what could not be written, for who reads the folder."""
        self._troubled = True
        try:
            os.symlink(getattr(error, "strerror", None) or type(error).__name__, _marker(self._path(report)))
        except OSError:
            pass  # it is there already, or this cannot be told either

    def _unmark(self, report: Json) -> None:
        if self._troubled:
            self._troubled = False
            remove(_marker(self._path(report)))


def _essence(report: Json) -> Json:
    processes = [{k: v for k, v in process.items() if k not in _VOLATILE} for process in report["processes"]]
    return {**report, "generated_at": None, "processes": processes}


def file_name(report: Json, moves: int = 0) -> str:
    """Name the file of a process: its pid, and its start in microseconds because pids are reused.

    Each of ``moves`` adds one to it.
    """
    process = report["processes"][0]
    return f"{process['pid']}-{int(process['started_at'] * 1_000_000) + moves}.json"


def _marker(path: str) -> str:
    return path.removesuffix(".json") + UNWRITTEN_SUFFIX


def _is_anothers(path: str) -> bool:
    try:
        return os.lstat(path).st_uid != os.geteuid()
    except OSError:
        return False


def _beat(path: str) -> bool:
    try:
        os.utime(path)
    except OSError:  # somebody has removed the file
        return False
    return True


def replace(path: str, data: bytes) -> None:
    """Put ``data`` into a file of the owner alone, as a whole or not at all; raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    remove(temporary)  # of one that had this pid; what is there is never written to: it may be another user's
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        remove(temporary)
        raise


def remove(path: str) -> None:
    """Remove a file; one that is not there, or not ours to remove, is left."""
    try:
        os.unlink(path)
    except OSError:
        pass


def read_all(directory: str, skipped: dict[str, str] | None = None, ignore: frozenset[str] = frozenset()) -> list[Json]:
    """Give the reports in ``directory``, oldest process first; a folder that is not there is empty.

    What is no report of this version is left out; ``skipped`` is filled with file name and reason.
    """
    reports: dict[object, Json] = {}
    for name in _names(directory, ".json", ignore):
        try:
            report = read_report(os.path.join(directory, name), os.O_NOFOLLOW)
        except ReportError as error:
            if skipped is not None:
                skipped[name] = str(error)
            continue
        before = reports.setdefault(_whose(report), report)
        if report["generated_at"] > before["generated_at"]:
            reports[_whose(report)] = report
    return sorted(reports.values(), key=lambda report: min((p["started_at"] for p in report["processes"]), default=0.0))


def _whose(report: Json) -> object:
    """Give what tells a process from others: one that has changed its user has two files."""
    return tuple((one["pid"], one["started_at"], one.get("pid_namespace")) for one in report["processes"])


def read_report(path: str, flags: int = 0) -> Json:
    """Read one report; raises ReportError that says what is wrong with the file."""
    return checked(parsed(read_bytes(path, flags)))


def checked(report: object) -> Json:
    """Give ``report`` back as one; raises ReportError where it is none, or one of another version."""
    problem = schema.problem(report)
    if problem or not isinstance(report, dict):
        raise ReportError(f"not a poolwatch report of version {REPORT_VERSION}: {problem}")
    return report


def read_notes(directory: str, ignore: frozenset[str] = frozenset()) -> list[Json]:
    """Give the notes of processes that could not be hooked: ``pid``, ``python``, ``argv``, ``error``."""
    notes = []
    for name in _names(directory, NOTE_SUFFIX, ignore):
        try:
            note = parsed(read_bytes(os.path.join(directory, name), os.O_NOFOLLOW))
        except ReportError:
            continue
        if isinstance(note, dict) and isinstance(note.get("pid"), int) and isinstance(note.get("error"), str):
            notes.append(note)
    return notes


def read_unwritten(directory: str, ignore: frozenset[str] = frozenset()) -> dict[int, str]:
    """Give the pids of processes that could not write what they know, with the reason."""
    found = {}
    for name in _names(directory, UNWRITTEN_SUFFIX, ignore):
        try:
            found[int(name.partition("-")[0])] = os.readlink(os.path.join(directory, name))[:100]
        except (OSError, ValueError):
            continue
    return found


def _names(directory: str, suffix: str, ignore: frozenset[str]) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(suffix) and name not in ignore)
    except OSError:
        return []


def read_bytes(path: str, flags: int = 0) -> bytes:
    """Read a file that is regular and not too large, opened with ``flags`` as well; raises ReportError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ReportError("not a regular file")
            if facts.st_size > MAX_BYTES:
                raise ReportError(f"larger than {MAX_BYTES} bytes")
            return file.read(MAX_BYTES)
    except OSError as error:
        raise ReportError(error.strerror or str(error)) from error


def parsed(data: bytes) -> object:
    """Parse JSON; raises ReportError."""
    try:
        value: object = json.loads(data)
    except RecursionError as error:
        raise ReportError("nested too deeply") from error
    except ValueError as error:
        raise ReportError(f"not JSON: {error}") from error
    return value
