"""Alerts for those who look from outside: ``run`` and ``agent`` send for all processes, ``alert`` shares the flags."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from poolwatch import config
from poolwatch.alert.own import is_wanted
from poolwatch.cli.beside import beside
from poolwatch.config import Config
from poolwatch.model import Json

if TYPE_CHECKING:
    from poolwatch.collecting.alerting import FolderAlerts
    from poolwatch.collecting.keeper import Keeper

log = logging.getLogger("poolwatch.alert")

NAMES = tuple(name for name in config.RULES if name.startswith("alert_"))
_INTERVAL = 0.5
_WHY = "the command has ended, and its connections with it"


@contextmanager
def sent_while_running(
    chosen: Config, directory: str, command: Sequence[str], read: Callable[[], Json]
) -> Iterator[Callable[[], Json]]:
    """Send the alerts of all processes of a command while it runs, where the options name a sink.

    ``read`` gives the report; gives what reads it with what was sent.
    """
    if not is_wanted(chosen):
        yield read
        return
    from poolwatch.collecting.alerting import FolderAlerts

    _say_what_fails("poolwatch")
    alerts = FolderAlerts(chosen, directory, read, _program(command))
    try:
        with beside(partial(_look, alerts), "poolwatch-alerts", _INTERVAL * 4):
            yield alerts.report
    finally:
        _look_once(alerts)
        alerts.close(_WHY)


class Told(Protocol):
    """A folder whose alerts are sent, where somebody wants them."""

    def report(self) -> Json:
        """Give the report of its processes."""

    def tend(self) -> None:
        """Look who has ended, and send what is due."""

    def close(self) -> None:
        """Send what waits, in bounded time."""


def of_folder(chosen: Config, directory: str, keeper: Keeper) -> Told:
    """Give what the agent reads its folder through."""
    if not is_wanted(chosen):
        return _Untold(keeper)
    from poolwatch.collecting.alerting import FolderAlerts

    _say_what_fails("poolwatch agent")
    alerts = FolderAlerts(chosen, directory, keeper.report, os.path.basename(directory))
    alerts.restore()
    return alerts


class _Untold:
    def __init__(self, keeper: Keeper) -> None:
        self.report, self.tend = keeper.report, keeper.tend

    def close(self) -> None:
        pass


def _program(command: Sequence[str]) -> str:
    """Name the program of a command: its first word that is neither a flag nor Python."""
    if "-c" in command:
        return "python"
    words = (os.path.basename(word) for word in command if not word.startswith("-"))
    return next((word for word in words if not word.startswith("python")), "python")


def _look(alerts: FolderAlerts, over: threading.Event) -> None:
    while not over.wait(_INTERVAL):
        _look_once(alerts)


def _look_once(alerts: FolderAlerts) -> None:
    try:
        alerts.look()
    except Exception as error:
        log.warning("alerts: the processes' reports cannot be read: %s: %s", type(error).__name__, error)


def _say_what_fails(prefix: str) -> None:
    """Write to standard error what is logged of sinks that do not take alerts."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{prefix}: %(message)s"))
    log.addHandler(handler)
