"""Puts the parts together: findings go into a book, what the book tells goes to a sender for each sink."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from time import monotonic, time

from poolwatch.alert.alert import Alert, Origin
from poolwatch.alert.book import Book
from poolwatch.alert.silence import Silence
from poolwatch.alert.sinks import senders
from poolwatch.book import Change
from poolwatch.config import Config
from poolwatch.host.native import allocate_lock
from poolwatch.model import Finding, Json, plain

LAST_CHANCE = 2.0
"""Seconds at the end in which what waits is still sent."""


class Alerting:
    """The alerts of one process, or of all processes of a folder; never waits for a sink, but in ``close``.

    ``name`` is what the program is called. ``is_spoken_for`` tells whether somebody else sends in our place.
    """

    def __init__(
        self, config: Config, name: str, instance: str, is_spoken_for: Callable[[], bool] = lambda: False
    ) -> None:
        self._is_spoken_for = is_spoken_for
        self._silence = Silence(config.alert_silence)
        self._senders = list(senders(config))
        self._ours: set[str] = set()
        self._lock = allocate_lock()
        self.book = Book(config, Origin(config.alert_name or name, socket.gethostname(), instance))

    def follow(self, changes: Collection[Change], findings: Iterable[Finding]) -> None:
        """Take what changed at a look, and all findings there are now; send what is due."""
        now = time()
        with self._lock:  # a look may be asked for by any thread
            for _, finding in changes:
                self.book.see(plain(finding), now)
            if changes:
                self.book.keep({finding.key for finding in findings}, now)
            self.send_due(now)

    def send_due(self, now: float) -> bool:
        """Hand over what is to be told at ``now``, Unix time, to the senders; tells whether there was something."""
        alerts = [] if self._silence.reigns(now) else self.book.due(now)
        spoken_for = bool(alerts) and self._is_spoken_for()
        for alert in alerts:
            if self._is_ours(alert, spoken_for):
                for sender in self._senders:
                    sender.put(alert)
        for sender in self._senders:
            sender.wake()
        return bool(alerts)

    def _is_ours(self, alert: Alert, spoken_for: bool) -> bool:
        """Tell whether we send it: the end of what we have told ourselves, and what nobody else tells."""
        if alert.state == "resolved":
            ours = alert.id in self._ours
            self._ours.discard(alert.id)
            return ours
        if not spoken_for:
            self._ours.add(alert.id)
        return not spoken_for

    def restore(self, faults: Iterable[Json]) -> None:
        """Go on with a book that was kept; raises TypeError or KeyError where it is none."""
        self.book.restore(faults)
        for alert in self.book.open_ones():
            self._ours.add(alert.id)
            for sender in self._senders:
                sender.remind(alert)

    def counts(self) -> dict[str, int]:
        """Give how many alerts were sent, failed and dropped: ``{"webhook sent": 3}``."""
        total: Counter[str] = Counter()
        for sender in self._senders:
            total.update({f"{sender.sink.kind} {outcome}": count for outcome, count in sender.counts.items()})
        if self.book.dropped:
            total["all dropped"] = self.book.dropped
        return {what: count for what, count in total.items() if count}

    def go_on(self) -> None:
        """Have the threads there that send."""
        for sender in self._senders:
            sender.wake()

    def pause(self) -> None:
        """End the threads, as before a fork."""
        for sender in self._senders:
            sender.stop()

    def close(self, why: str | None) -> None:
        """Call everything resolved where there is a reason ``why``, send what waits, and end in bounded time."""
        if why is not None:
            with self._lock:
                self.book.close(why, time())
                self.send_due(time())
        until = monotonic() + LAST_CHANCE
        for sender in self._senders:
            sender.begin_last()
        for sender in self._senders:
            sender.finish_last(until)


def own_instance() -> str:
    """Name this process, for those who speak for themselves alone."""
    return f"{socket.gethostname()}:{os.getpid()}"


def program(argv: Iterable[str]) -> str:
    """Name a program by its command line."""
    return os.path.basename(next(iter(argv), "")) or "python"
