"""A function of the application's: it is called with each alert, in the sink's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from poolwatch.alert.alert import Alert
from poolwatch.alert.sink import Failure
from poolwatch.model import Json


class Function:
    """A sink that calls ``function`` with what webhooks get; what it raises is a failure, and it is called again."""

    kind = "function"
    is_hosts = True

    def __init__(self, function: Callable[[Json], object]) -> None:
        self._function = function
        self.place = getattr(function, "__qualname__", type(function).__name__)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Call it; raises Failure with the name of the error only."""
        for alert in alerts:
            name = self._call(alert)
            if name:
                raise Failure(f"it raised {name}")

    def _call(self, alert: Alert) -> str:
        try:
            self._function(alert.to_json())
        except BaseException as error:  # a SystemExit would end the thread
            return type(error).__name__
        return ""

    def abort(self) -> None:
        """Do nothing: nobody can stop a function from outside."""
