"""One thread for what may take long: span processors and exporters are the program's own or other people's code.

The thread is a real one and lives while there is something to do, so that none is there at a fork.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable

from poolwatch.native import Alarm, allocate_lock, get_native_id, start_new_thread, wait_for_end_of

Job = Callable[[], object]
MOST_JOBS = 1000
"""Jobs that may wait; there is about one a look. What comes beyond is not taken."""


class Courier:
    """Does jobs one after another; what one raises goes to ``failed``."""

    def __init__(self, failed: Callable[[Exception], object]) -> None:
        self._failed = failed
        self._lock = allocate_lock()
        self._jobs: deque[Job] = deque()
        self._done = Alarm()
        self._busy = False
        self._native_id = 0

    def send(self, job: Job) -> bool:
        """Have ``job`` done soon, and do not wait for it; false where too many wait."""
        with self._lock:
            if len(self._jobs) >= MOST_JOBS:
                return False
            self._jobs.append(job)
            if self._busy:
                return True
            self._busy, self._done = True, Alarm()
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # no threads left, or none any more at the end of the process
            self._work()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until all jobs are done and the thread has ended, at most so long."""
        done = self._done
        if self._busy and done.wait(seconds):
            done.ring()
            wait_for_end_of(self._native_id)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # signals are for the host's threads
        self._native_id = get_native_id()
        self._work()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:
                self._failed(error)

    def _next(self) -> Job | None:
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            self._busy = False
            self._done.ring()
            return None
