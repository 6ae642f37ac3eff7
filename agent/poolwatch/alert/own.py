"""The alerts of one watched process. Imports the sinks only where the options name one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Protocol

from poolwatch.book import Change
from poolwatch.config import Config
from poolwatch.model import Finding
from poolwatch.report.spool import DIRECTORY_VARIABLE

if TYPE_CHECKING:
    from poolwatch.alert.alerting import Alerting

Findings = Callable[[], Iterable[Finding]]


class OwnAlerts(Protocol):
    """What a watched process does with its alerts."""

    def follow(self, changes: Collection[Change], news: object) -> None:
        """Take what changed at a look."""

    def counts(self) -> dict[str, int]:
        """Give how many alerts were sent, failed and dropped, by sink."""

    def go_on(self) -> None:
        """Have the threads there that send."""

    def pause(self) -> None:
        """End the threads until ``go_on``."""

    def became_child(self) -> None:
        """Begin anew in a forked child."""

    def close(self, why: str) -> None:
        """Call everything resolved because of ``why`` and send what waits, in bounded time."""


def own_alerts(config: Config, findings: Findings) -> OwnAlerts:
    """Give the alerts that the options ask for; ``findings`` gives those of the last look."""
    return _Sent(config, findings) if is_wanted(config) else _NoAlerts()


def is_wanted(config: Config) -> bool:
    """Tell whether the options name a sink."""
    return any((config.alert_webhook, config.alert_alertmanager, config.alert))


class _NoAlerts:
    def follow(self, changes: Collection[Change], news: object) -> None:
        pass

    def counts(self) -> dict[str, int]:
        return {}

    def go_on(self) -> None:
        pass

    def pause(self) -> None:
        pass

    def became_child(self) -> None:
        pass

    def close(self, why: str) -> None:
        pass


class _Sent:
    def __init__(self, config: Config, findings: Findings) -> None:
        self._config = config
        self._findings = findings
        self._alerting = self._new()

    def _new(self) -> Alerting:
        from poolwatch.alert.alerting import Alerting, own_instance, program
        from poolwatch.alert.speaker import is_spoken_for

        folder = os.environ.get(DIRECTORY_VARIABLE)
        name = program(getattr(sys, "argv", ()))
        return Alerting(self._config, name, own_instance(), lambda: is_spoken_for(folder))

    def follow(self, changes: Collection[Change], news: object) -> None:
        self._alerting.follow(changes, self._findings())

    def counts(self) -> dict[str, int]:
        return self._alerting.counts()

    def go_on(self) -> None:
        self._alerting.go_on()

    def pause(self) -> None:
        self._alerting.pause()

    def became_child(self) -> None:
        self._alerting = self._new()

    def close(self, why: str) -> None:
        self._alerting.close(why)
