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
MAX_BYTES = 32 * 1024 * 1024
"""A larger file is not read."""
MAX_LEASES = 1000
"""Leases written; the youngest beyond are left out, so that a flood of leases costs no flood of bytes."""
INTERVALS_BETWEEN_WRITES = 4
"""At which mere numbers are written, and the heartbeat; what is out and what was found is written at once."""
NOTE_SUFFIX = ".note"

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
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError:
            self.errors += 1

    def write(self, report: Json) -> bool:
        """Replace the file by ``report``; tells whether it was written (false: unchanged, or an error).

        The time of the file is the heartbeat: it is set anew also where nothing has changed.
        """
        essence = _essence(report)
        path = os.path.join(self.directory, file_name(report))
        if essence == self._last and _beat(path):
            return False
        try:
            replace(path, json.dumps(report, allow_nan=False).encode())
        except (OSError, ValueError, TypeError):
            self.errors += 1
            return False
        self._last = essence
        return True


def _essence(report: Json) -> Json:
    processes = [{k: v for k, v in process.items() if k not in _VOLATILE} for process in report["processes"]]
    return {**report, "generated_at": None, "processes": processes}


def file_name(report: Json) -> str:
    """Name the file of a process: its pid, and its start in microseconds because pids are reused."""
    process = report["processes"][0]
    return f"{process['pid']}-{int(process['started_at'] * 1_000_000)}.json"


def _beat(path: str) -> bool:
    try:
        os.utime(path)
    except OSError:  # somebody has removed the file
        return False
    return True


def replace(path: str, data: bytes) -> None:
    """Put ``data`` into a file of the owner alone, as a whole or not at all; raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
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
    reports = []
    for name in _names(directory, ".json", ignore):
        try:
            reports.append(read_report(os.path.join(directory, name)))
        except ReportError as error:
            if skipped is not None:
                skipped[name] = str(error)
    return sorted(reports, key=lambda report: min((p["started_at"] for p in report["processes"]), default=0.0))


def read_report(path: str) -> Json:
    """Read one report; raises ReportError that says what is wrong with the file."""
    return checked(parsed(read_bytes(path)))


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
            note = parsed(read_bytes(os.path.join(directory, name)))
        except ReportError:
            continue
        if isinstance(note, dict) and isinstance(note.get("pid"), int) and isinstance(note.get("error"), str):
            notes.append(note)
    return notes


def _names(directory: str, suffix: str, ignore: frozenset[str]) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(suffix) and name not in ignore)
    except OSError:
        return []


def read_bytes(path: str) -> bytes:
    """Read a file that is regular and not too large; raises ReportError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
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
