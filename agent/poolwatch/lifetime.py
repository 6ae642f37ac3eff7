"""What a watch does when its process forks, becomes another program, or ends."""

from __future__ import annotations

import gc
import os
import sys
from time import time
from typing import TYPE_CHECKING

from poolwatch import model
from poolwatch.host import speech
from poolwatch.host.guard import Guard
from poolwatch.ledger import Ledger, nobody_looks
from poolwatch.report.spool import DIRECTORY_VARIABLE
from poolwatch.watcher import Watcher

if TYPE_CHECKING:
    from poolwatch.alert.own import OwnAlerts
    from poolwatch.export.otel.telemetry import Telemetry
    from poolwatch.server import Server


class Lifetime:
    """The forks, execs and the end of a watched process, as ``host.ends`` tells of them."""

    _watcher: Watcher
    _ledger: Ledger
    _guard: Guard
    _alerts: OwnAlerts
    _telemetry: Telemetry
    _server: Server | None
    _started_at: float
    _target: str | None
    """Where the report goes at the end; None where nobody asked for one here."""

    def report(self) -> model.Json:
        """Give the report of this process."""
        raise NotImplementedError

    def before_fork(self) -> None:
        """Stop the thread: a child must not inherit its locks, and Python warns of forks with threads."""
        self._watcher.stop()
        self._alerts.pause()
        self._telemetry.pause()
        speech.pause()
        if self._server is not None:
            self._server.pause()

    def after_fork_in_parent(self) -> None:
        """Go on looking, but not before the fork is over: from 3.12 on Python warns of threads beside a fork."""
        if sys.version_info >= (3, 12):
            # where somebody forks with another ``fork`` than os.fork: at the next collection, or when somebody waits
            gc.callbacks.append(self._go_on_after_collection)
            self._ledger.at_wait = self.after_fork
        else:
            self.after_fork()

    def after_fork(self) -> None:
        """Start the threads that ``before_fork`` stopped."""
        # called from a fork or a collection of the host's, so what fails here is ours alone
        try:
            self._wait_no_more()
            speech.go_on()
            self._alerts.go_on()
            self._watcher.start()
            if self._server is not None:
                self._server.resume()
        except Exception as error:
            self._guard.failed("watcher", error)

    def _go_on_after_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop":
            self.after_fork()

    def _wait_no_more(self) -> None:
        self._ledger.at_wait = nobody_looks
        while self._go_on_after_collection in gc.callbacks:
            gc.callbacks.remove(self._go_on_after_collection)

    def after_fork_in_child(self) -> None:
        """Begin anew: what was lent before belongs to the parent."""
        self._started_at = time()
        self._target = None  # it is the parent's
        self._ledger.became_child(os.getppid())
        self._wait_no_more()
        speech.begin()
        self._watcher.became_child()
        self._alerts.became_child()
        self._telemetry.became_child()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._alerts.go_on()
        self._watcher.start()

    def before_exec(self) -> None:
        """Say what is known; what is out goes with the program, which nobody can call forgotten."""
        self._watcher.stop()
        self._watcher.say_last_word()
        speech.finish()

    def after_failed_exec(self) -> None:
        """Go on: the program could not be replaced after all."""
        speech.begin()
        self._watcher.take_back_last_word()
        self._watcher.start()

    def holds(self) -> bool:
        """Tell whether something is out."""
        return bool(self._ledger.out())

    def at_end(self) -> None:
        """Take the last look and write the report."""
        self._wait_no_more()
        self._watcher.stop()
        self._watcher.look(final=True)
        self._alerts.close("the process has ended, and its connections with it")
        self._telemetry.close()
        speech.finish()
        if self._target and not os.environ.get(DIRECTORY_VARIABLE):
            from poolwatch.text import wrote

            if not wrote(self.report(), self._target):
                self._target = None  # the end may come twice, as by os._exit in a function of atexit
                speech.finish()
