"""Who speaks for a spool folder: whoever holds the lock of its file sends the alerts of all its processes.

The lock goes with its holder, however that ends; then each process speaks for itself again.
"""

from __future__ import annotations

import fcntl
import os

FILE = "alerting.lock"


class Speaker:
    """Wants to speak for ``directory``."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, FILE)
        self._lock = -1

    def take(self) -> bool:
        """Become the one who speaks, or say that somebody else is; a folder that cannot be written has no speaker."""
        if self._lock < 0:
            try:
                self._lock = _locked(self._path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX)
            except BlockingIOError:
                return False
            except OSError:
                return True
        return True

    def give_up(self) -> None:
        """Let others speak."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def is_spoken_for(directory: str | None) -> bool:
    """Tell whether somebody speaks for ``directory``; of no folder nobody does."""
    if directory is None:
        return False
    try:
        os.close(_locked(os.path.join(directory, FILE), os.O_RDONLY, fcntl.LOCK_SH))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _locked(path: str, flags: int, kind: int) -> int:
    """Open and lock a file; raises BlockingIOError where another has locked it, else OSError."""
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
