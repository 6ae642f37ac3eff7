"""One thread for what may take long: log handlers, span processors and exporters are other people's code.

The thread is a real one, also under gevent, and is not there at a fork, unless it hangs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from poolwatch.host.native import (
    Alarm,
    allocate_lock,
    get_ident,
    get_native_id,
    leave_no_dummy,
    sleep,
    start_own_thread,
    wait_for_end_of,
)

Job = Callable[[], object]
MOST_JOBS = 1000
"""Jobs that may wait; there is about one a look. What comes beyond is not taken."""
_TICK = 0.001


class Courier:
    """Does jobs one after another; what one raises goes to ``failed``.

    ``here`` allows that they are done in the thread that sends them, where no other can be had.
    """

    def __init__(self, failed: Callable[[Exception], object], *, here: bool = True) -> None:
        self._failed = failed
        self._here = here
        self._jobs: deque[Job] = deque()
        self._alarm = Alarm()
        self._lock = allocate_lock()
        self._running = self._stopping = False
        self._native_id = self.ident = 0
        self._done = 0
        self._given_up = -1
        """How many jobs were done when somebody waited in vain: nobody waits again for the one that hangs."""

    def send(self, job: Job) -> bool:
        """Have ``job`` done soon, and do not wait for it; false where too many wait."""
        if len(self._jobs) >= MOST_JOBS:
            return False
        self._jobs.append(job)
        if self.stand_by():
            self._alarm.ring()
        elif self._here:
            self._work()
        return True

    def stand_by(self) -> bool:
        """Have the thread there, and tell whether it is: from Python 3.12 on none can be had once the end has begun."""
        if self._running and not self._stopping:
            return True
        with self._lock:
            self._stopping = False
            if not self._running:
                self._running = True
                try:
                    start_own_thread(self._run)
                except RuntimeError:
                    self._running = False
            return self._running

    def wait(self, seconds: float) -> bool:
        """Wait until all jobs are done, at most so long; tells whether they are."""
        return self._comes(lambda: not (self._jobs and self._running), seconds)

    def pause(self, seconds: float) -> None:
        """End the thread after the job it does, and wait for that at most so long; the others are kept."""
        self._stopping = True
        self._alarm.ring()
        if self._comes(lambda: not self._running, seconds):
            wait_for_end_of(self._native_id)

    def stop(self, seconds: float) -> None:
        """Wait until all jobs are done, at most so long, and end the thread."""
        self.wait(seconds)
        self.pause(seconds)

    def _comes(self, true: Callable[[], bool], seconds: float) -> bool:
        in_vain = self._given_up == self._done or (self._running and get_ident() == self.ident)
        until = monotonic() + (0.0 if in_vain else seconds)
        while not true():
            if monotonic() >= until:
                self._given_up = self._done
                return False
            sleep(_TICK)
        return True

    def _run(self) -> None:
        self._native_id, self.ident = get_native_id(), get_ident()
        while True:
            self._work()
            with self._lock:
                if self._stopping:
                    self._running = False
                    return
            self._alarm.wait(-1)

    def _work(self) -> None:
        while self._jobs and not self._stopping:
            try:
                self._jobs[0]()  # it stays in its place until it is done, for those who wait
            except Exception as error:
                self._failed(error)
            finally:
                leave_no_dummy()
                self._done += 1
                self._jobs.popleft()
