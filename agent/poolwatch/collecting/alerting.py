"""Alerts of all processes of a spool folder: one incident for a fault, however many processes have it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable

from poolwatch.alert.alerting import Alerting
from poolwatch.alert.speaker import Speaker
from poolwatch.config import Config
from poolwatch.errors import ReportError
from poolwatch.model import Json
from poolwatch.report import spool

FILE = "alerting.over"
"""What was told, so that a restart tells nobody the same again."""
_VERSION = 1


class FolderAlerts:
    """Speaks for ``directory``: ``read`` gives the report of its processes. Call ``look`` again and again."""

    def __init__(self, config: Config, directory: str, read: Callable[[], Json], name: str) -> None:
        self._read = read
        self._path = os.path.join(directory, FILE)
        self._speaker = Speaker(directory)
        self._alerting = Alerting(config, name, socket.gethostname(), lambda: not self._speaker.take())
        self._speaker.take()
        self._before: Counter[str] = Counter()
        self._counted: dict[str, int] = {}

    def restore(self) -> None:
        """Go on where an agent before has ended; a file that is none of ours is left aside."""
        try:
            kept = spool.parsed(spool.read_bytes(self._path))
            if isinstance(kept, dict) and kept["version"] == _VERSION:
                self._alerting.restore(kept["faults"])
                self._before = Counter({str(what): int(count) for what, count in kept["counts"].items()})
        except (ReportError, KeyError, TypeError, ValueError, AttributeError):
            return

    def look(self) -> bool:
        """Read the report and send what is due; tells whether there was something, raises OSError."""
        now = time.time()
        self._speaker.take()
        self._alerting.book.see_all(self._read()["findings"], now)
        return self._alerting.send_due(now)

    def tend(self) -> None:
        """Look, and keep on the disk what was told; raises OSError where the folder cannot be read."""
        if self.look() or self.counts() != self._counted:
            self._save()

    def report(self) -> Json:
        """Give the report with what was sent."""
        return {**self._read(), "alerts": self.counts()}

    def counts(self) -> dict[str, int]:
        """Give how many alerts were sent, failed and dropped, by sink; with those before a restart."""
        return dict(self._before + Counter(self._alerting.counts()))

    def _save(self) -> None:
        self._counted = self.counts()
        kept = {"version": _VERSION, "faults": self._alerting.book.to_json(), "counts": self._counted}
        try:
            spool.replace(self._path, json.dumps(kept).encode())
        except OSError:
            return  # a restart will tell again what is open: better than never

    def close(self, why: str | None = None) -> None:
        """Send what waits, in bounded time; with a reason ``why`` everything is called resolved."""
        self._alerting.close(why)
        if why is None:
            self._save()
        self._speaker.give_up()
