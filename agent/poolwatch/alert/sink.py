"""What a sink is: something that takes alerts, or says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from poolwatch.alert.alert import Alert


class Failure(Exception):
    """A sink did not take an alert. The text holds no secret, so it may be shown.

    ``retry_after`` is what the sink asks for, in seconds; ``refused`` means that trying again would not help.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, refused: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.refused = refused


class Sink(Protocol):
    """Takes alerts, called from one thread at a time."""

    kind: str
    """Short name, for the metric."""
    place: str
    """Where it sends to, without secrets."""
    is_hosts: bool
    """True where it is code of the application's."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Hand them over; raises Failure."""

    def abort(self) -> None:
        """Let what is under way fail soon; from another thread."""
