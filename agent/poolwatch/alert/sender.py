"""The thread of one sink: sends what waits in its outbox, one message at a time, and tries again later what failed.

A sink that hangs keeps nobody else waiting: not the program, not the watcher, not another sink. The thread is there
only while something is to be sent, and is a real one also under gevent. A sink that is code of the application's has
its thread always: at the end of a process none can be had (Python 3.12), and no thread of the application's may run it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from time import monotonic

from poolwatch.alert.alert import Alert
from poolwatch.alert.outbox import Outbox
from poolwatch.alert.sink import Failure, Sink
from poolwatch.host.native import Alarm, allocate_lock, get_native_id, start_own_thread, wait_for_end_of
from poolwatch.host.speech import Log

log = Log("poolwatch.alert")

_FIRST_RETRY = 1.0
_LONGEST_RETRY = 60.0
_TO_STOP = 0.5
"""Seconds in which a thread that is told to stop does so; only a name look-up or a function can take longer."""


class Sender:
    """Sends to one sink. ``counts``: alerts ``sent``, attempts that ``failed``, alerts ``dropped``; they only grow."""

    def __init__(self, sink: Sink, outbox: Outbox, first_retry: float = _FIRST_RETRY) -> None:
        self.sink = sink
        self.counts = Counter(sent=0, failed=0, dropped=0)
        self._outbox = outbox
        self._first_retry = first_retry
        self._retry_after = first_retry
        self._not_before = 0.0
        self._asked_until = 0.0
        self._last_reason = ""
        self._lock = allocate_lock()
        self._alarm, self._done = Alarm(), Alarm()
        self._running = self._stopping = self._hurried = False
        self._native_id = 0

    def put(self, alert: Alert) -> None:
        """Take an alert to be sent; never waits for the sink."""
        self._count("dropped", self._outbox.put(alert))

    def _count(self, outcome: str, many: int) -> None:
        with self._lock:  # two threads count
            self.counts[outcome] += many

    def remind(self, alert: Alert) -> None:
        """Take an alert that was sent before, for a sink that must hear of it again and again."""
        self._outbox.remind(alert)

    def wake(self) -> None:
        """Let the thread look what is to be sent; starts it where it is needed and does not run."""
        with self._lock:
            needed = self._wait(monotonic()) is not None
            if self._running:
                if needed or self._hurried:
                    self._alarm.ring()
            elif needed or self.sink.is_hosts:
                self._alarm, self._done = Alarm(), Alarm()
                self._running, self._stopping = True, False
                try:
                    start_own_thread(self._run)
                except RuntimeError:  # no threads left, or the interpreter is about to end
                    self._running = False

    def stop(self) -> None:
        """End the thread, and what it is sending; what was not taken stays. ``wake`` starts it again."""
        if self._running:
            self._stopping = True
            self._alarm.ring()
            self.sink.abort()
            if self._done.wait(_TO_STOP):
                wait_for_end_of(self._native_id)

    def begin_last(self) -> None:
        """Begin to send all that waits, without pauses of ours, and not again what fails now."""
        self._hurried, self._not_before = True, self._asked_until
        self.wake()

    def finish_last(self, until: float) -> None:
        """Wait for it until a moment of the monotonic clock, then stop."""
        if self._running:
            self._done.wait(max(until - monotonic(), 0.0))
        elif self._wait(monotonic()) is not None and not self.sink.is_hosts:  # a thread could not be had
            self._steps()
        self.stop()

    def _run(self) -> None:
        self._native_id = get_native_id()
        alarm, done = self._alarm, self._done
        while True:
            self._steps()
            with self._lock:
                wait = self._wait(monotonic())
                if self._stopping or (wait is None and (self._hurried or not self.sink.is_hosts)):
                    self._running = False
                    break
            alarm.wait(-1 if wait is None else wait)
        done.ring()

    def _steps(self) -> None:
        """Send as long as something is due."""
        while not self._stopping and self._wait(monotonic()) == 0:
            batch = self._outbox.batch()
            if batch:
                self._step(batch)

    def _wait(self, now: float) -> float | None:
        """Give the seconds until the next attempt; None where there is nothing to wait for."""
        wait = max(self._not_before - now, 0.0)
        if self._hurried:  # at the end nobody waits: what failed just now has had its last chance
            return 0.0 if self._outbox.has_news() and not wait else None
        due_in = self._outbox.due_in(now)
        return None if due_in is None else max(due_in, wait)

    def _step(self, batch: Sequence[Alert]) -> None:
        try:
            self.sink.send(batch)
        except Failure as failure:
            self._failed(batch, failure)
        except Exception as error:
            self._failed(batch, Failure(type(error).__name__, refused=True))
        else:
            self._retry_after, self._last_reason = self._first_retry, ""
            self._count("sent", self._outbox.done(batch, monotonic()))

    def _failed(self, batch: Sequence[Alert], failure: Failure) -> None:
        if self._stopping:  # we have cut it off ourselves
            return
        self._count("failed", 1)
        self._say(str(failure))
        if failure.refused:
            self._count("dropped", self._outbox.done(batch, monotonic()))
            return
        now = monotonic()
        self._asked_until = now + (failure.retry_after or 0.0)
        self._not_before = max(now + self._retry_after * random.uniform(0.5, 1.0), self._asked_until)
        self._retry_after = min(2 * self._retry_after, _LONGEST_RETRY)

    def _say(self, reason: str) -> None:
        """Log what is wrong with the sink, once for each reason until it takes alerts again."""
        if reason != self._last_reason:
            self._last_reason = reason
            log.warning("alerts cannot be sent to %s %s: %s", self.sink.kind, self.sink.place, reason)
