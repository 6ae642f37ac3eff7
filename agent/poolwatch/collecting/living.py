"""Which processes live: a pid alone says little, for it is used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolwatch.model import Json

if TYPE_CHECKING:  # the command line must start, and say what is missing, without it
    import psutil

_SLACK = 2.0
"""Seconds by which a process may have started after the start it reported: clocks are read at different places."""


class Living:
    """Tells who lives. Who was met once is known again by the system's own start time, whatever the clock does."""

    def __init__(self) -> None:
        self._met: dict[tuple[int, float], psutil.Process] = {}

    def alive(self, pid: int, started_at: float) -> bool:
        """Tell whether the process that started then (Unix time, seconds) runs; a zombie does not."""
        key = (pid, started_at)
        process = self._met.pop(key, None) or _meet(pid, started_at)
        if process is None or not _runs(process):
            return False
        self._met[key] = process
        return True


def alive(process: Json) -> bool:
    """Tell whether a process of a report still runs; a zombie does not, nor a later process with its pid."""
    return Living().alive(process["pid"], process["started_at"])


def _meet(pid: int, started_at: float) -> psutil.Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return process if process.create_time() <= started_at + _SLACK else None
    except (psutil.Error, OverflowError, ValueError):
        return None


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.Error:
        return False
