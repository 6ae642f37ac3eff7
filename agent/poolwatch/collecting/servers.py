"""Asks database servers for their limits and sessions, each from its own thread: one that hangs holds up nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from poolwatch.errors import PoolwatchError
from poolwatch.evidence import server_side
from poolwatch.evidence.server_side import Line, ServerFacts
from poolwatch.evidence.target import Target, target

NOT_YET = "not asked yet"
_LONGEST_PAUSE = 60.0
"""Seconds between two attempts to reach a server that is down."""
_PATIENCE = 5.0
"""Seconds that closing waits for a thread."""


class Server:
    """One server and what it said last."""

    def __init__(self, at: Target, pause: float) -> None:
        self._pause = pause
        self.name = at.name
        self.facts: ServerFacts | None = None
        """None as long as it has not been reached."""
        self.error: str | None = NOT_YET
        """Why it cannot be asked now; None where it can."""
        self.answered_at = 0.0
        """Unix time of the last answer."""
        self.addresses: frozenset[str] = frozenset()
        """``address:port`` of it, as pools know it."""
        self._target = at
        self._open = server_side.opener(at)
        self._line: Line | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"poolwatch-{at.name}", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more, and wait a little for the connection to be closed."""
        self._end.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        pause = self._pause
        while not self._end.is_set():
            pause = self._pause if self.ask() else min(2 * pause, _LONGEST_PAUSE)
            self._end.wait(pause)
        self._hang_up()

    def ask(self) -> bool:
        """Ask once, and tell whether there was an answer."""
        try:
            self.addresses |= server_side.addresses(self._target)
            self._line = self._line or self._open()
            self.facts = server_side.ask(self._line, self._target.dialect)
        except Exception as error:
            first = (str(error).strip() or "no reason given").splitlines()[0]
            self.error = self._target.without_password(f"{type(error).__name__}: {first}")
            self._hang_up()
            return False
        self.error, self.answered_at = None, time.time()
        return True

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        try:
            if line is not None:
                line.close()
        except Exception:  # it was broken before
            return


def servers(dsns: Iterable[str], pause: float) -> list[Server]:
    """Make the servers that DSNs name, to be asked every ``pause`` seconds; raises PoolwatchError, quoting no DSN."""
    found = [Server(target(dsn), pause) for dsn in dsns]
    names = [server.name for server in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PoolwatchError(f"{twice} is given twice")
    return found
