"""Processes that live but no longer report: how long they may be silent, and what their threads do."""

from __future__ import annotations

from poolwatch.model import Json
from poolwatch.report.spool import INTERVALS_BETWEEN_WRITES

_LEAST = 10.0
_WRITES = 3
_MOST_THREADS = 32


def patience(process: Json) -> float:
    """Give the seconds after which a process of a report is called silent, by its own interval."""
    between = INTERVALS_BETWEEN_WRITES * process.get("interval", 0.0)
    return max(_LEAST, float(_WRITES * between))


def states(pid: int) -> Json:
    """Give the state of a process and of its threads, as the system knows them; empty where it has ended."""
    import psutil

    try:
        process = psutil.Process(pid)
        state = process.status()
        threads = [_thread(thread.id) for thread in process.threads()[:_MOST_THREADS]]
    except psutil.Error:
        return {}
    return {"state": state, "threads": [thread for thread in threads if thread]}


def _thread(number: int) -> Json:
    import psutil

    try:
        thread = psutil.Process(number)  # the system shows a thread as it shows a process
        return {"id": number, "name": thread.name(), "state": thread.status()}
    except psutil.Error:
        return {}
