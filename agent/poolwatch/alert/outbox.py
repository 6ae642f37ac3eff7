"""What waits to be sent to one sink: letters, each to arrive once and in order, or a board that shows what is so now.

Written by the watcher, read by the sink's thread: each method is short, under one lock of our own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from poolwatch.alert.alert import Alert
from poolwatch.host.native import allocate_lock

MOST = 1000
"""Alerts kept for a sink that does not take them; the oldest beyond are dropped and counted."""


class Outbox(Protocol):
    """Where alerts wait. Times are of the monotonic clock, in seconds."""

    def put(self, alert: Alert) -> int:
        """Take an alert; gives how many others were dropped for it."""

    def remind(self, alert: Alert) -> None:
        """Know an alert that was taken before a restart."""

    def due_in(self, now: float) -> float | None:
        """Give the seconds until there is something to send; None where there is nothing."""

    def has_news(self) -> bool:
        """Tell whether something was never taken."""

    def batch(self) -> Sequence[Alert]:
        """Give what is to be sent in one message."""

    def done(self, batch: Sequence[Alert], now: float) -> int:
        """Forget what was sent, or refused for good; gives how many alerts that were."""


class Letters:
    """Alerts one by one, oldest first, at most ``limit`` a minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = allocate_lock()
        self._waiting: deque[Alert] = deque()
        self._sent: deque[float] = deque(maxlen=limit)

    def put(self, alert: Alert) -> int:
        """Take an alert; a repeat is not worth a place while something older of the same fault still waits."""
        with self._lock:
            if alert.state == "repeated" and any(other.id == alert.id for other in self._waiting):
                return 0
            self._waiting.append(alert)
            if len(self._waiting) <= MOST:
                return 0
            self._waiting.popleft()
            return 1

    def remind(self, alert: Alert) -> None:
        """Do nothing: it has arrived."""

    def due_in(self, now: float) -> float | None:
        """Give the seconds until the oldest may be sent."""
        with self._lock:
            if not self._waiting:
                return None
            return max(self._sent[0] + 60 - now, 0.0) if len(self._sent) == self._limit else 0.0

    def has_news(self) -> bool:
        """Tell whether any waits."""
        return bool(self._waiting)

    def batch(self) -> Sequence[Alert]:
        """Give the oldest."""
        with self._lock:
            return list(self._waiting)[:1]

    def done(self, batch: Sequence[Alert], now: float) -> int:
        """Forget it."""
        with self._lock:
            self._sent.append(now)
            for alert in batch:
                if self._waiting and self._waiting[0] is alert:  # not where it was dropped meanwhile
                    self._waiting.popleft()
        return len(batch)


class Board:
    """The last word on each fault and grade; what is open is said again every ``refresh`` seconds.

    What is over before the sink has taken it is shown open once, or nobody would ever hear of it; it expires there.
    """

    def __init__(self, refresh: float) -> None:
        self._refresh = refresh
        self._lock = allocate_lock()
        self._last: dict[tuple[str, str], Alert] = {}
        self._news: set[tuple[str, str]] = set()
        self._taken: set[tuple[str, str]] = set()
        self._brief: set[tuple[str, str]] = set()
        self._next = 0.0

    def put(self, alert: Alert) -> int:
        """Put the alert in the place of the one before; where its grade is another, that one has ended."""
        with self._lock:
            key = _key(alert)
            for other in [other for other in self._last if other[0] == alert.id and other != key]:
                self._show(other, _ended(self._last[other], alert))
            self._show(key, alert)
            dropped = [old for old in self._last if old != key][: max(len(self._last) - MOST, 0)]
            for old in dropped:
                self._forget(old)
            return len(dropped)

    def remind(self, alert: Alert) -> None:
        """Show the alert at the next refresh, which is soon."""
        with self._lock:
            self._last[_key(alert)] = alert
            self._taken.add(_key(alert))

    def _show(self, key: tuple[str, str], alert: Alert) -> None:
        self._news.add(key)
        if alert.state == "resolved" and key in self._last and key not in self._taken:
            self._brief.add(key)
        else:
            self._last[key] = alert

    def _forget(self, key: tuple[str, str]) -> None:
        del self._last[key]
        for keys in (self._news, self._taken, self._brief):
            keys.discard(key)

    def due_in(self, now: float) -> float | None:
        """Give no time where there is news, else the time to the next refresh."""
        with self._lock:
            if self._news:
                return 0.0
            return max(self._next - now, 0.0) if self._last else None

    def has_news(self) -> bool:
        """Tell whether something has changed since it was taken."""
        return bool(self._news)

    def batch(self) -> Sequence[Alert]:
        """Give everything that is open, and what was resolved since it was last taken."""
        with self._lock:
            return list(self._last.values())

    def done(self, batch: Sequence[Alert], now: float) -> int:
        """Forget what is over; gives how many were news."""
        with self._lock:
            self._next = now + self._refresh
            return sum(self._settle(_key(alert), alert) for alert in batch)

    def _settle(self, key: tuple[str, str], alert: Alert) -> bool:
        if self._last.get(key) is not alert:  # it has changed meanwhile
            self._taken.add(key)
            return False
        news = key in self._news
        self._taken.add(key)
        self._news.discard(key)
        if alert.state == "resolved" or key in self._brief:
            self._forget(key)
        return news


def _key(alert: Alert) -> tuple[str, str]:
    return alert.id, alert.finding["grade"]


def _ended(old: Alert, now: Alert) -> Alert:
    finding = {**old.finding, "state": "resolved", "resolution": f"it is {now.finding['grade']} now"}
    return Alert(old.id, "resolved", now.number, finding, old.opened_at, now.at, old.origin, old.test)
