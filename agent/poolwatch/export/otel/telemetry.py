"""What the watcher tells the program's own OpenTelemetry providers after each look.

Nothing of OpenTelemetry's is imported before the program has imported it and set a provider.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from poolwatch.book import Change
from poolwatch.export.otel.asked import SIGNALS
from poolwatch.export.otel.providers import of_program
from poolwatch.host.courier import Courier
from poolwatch.host.guard import Guard
from poolwatch.ledger import Lease, Wait
from poolwatch.model import Json
from poolwatch.senses.flow import is_sampled

if TYPE_CHECKING:
    from poolwatch.export.otel.metrics import Instruments
    from poolwatch.export.otel.spans import Spans

_LAST = 5.0
"""Seconds that it may take to tell what is left at the end."""
_PROMETHEUS = "opentelemetry.exporter.prometheus"
"""Where the program has its MeterProvider scraped, poolwatch's own metrics stand beside, and must not come twice."""


def wanted(signals: Iterable[str]) -> set[str]:
    """Give the signals that the option ``telemetry`` names."""
    return {signal for signal in SIGNALS if signal in signals or "all" in signals}


class News(Protocol):
    """What happened between two looks."""

    returned: list[Lease]
    waited: list[Wait]


class Telemetry:
    """Metrics, spans and logs of one process. The watcher calls ``follow``; what that sends, the courier does."""

    def __init__(
        self,
        signals: Iterable[str],
        read: Callable[[], Json],
        look: Callable[[], object],
        guard: Guard,
        dropped: dict[str, int],
    ) -> None:
        self._named = wanted(signals)
        self._wanted = set(self._named)
        """What is told: less than what was named once a provider has failed or the end has come."""
        self._read = read
        self._look = look
        self._guard = guard
        self._dropped = dropped
        self._met: tuple[str, ...] = ()
        self._instruments: Instruments | None = None
        self._measured: object = None
        """The provider that has them."""
        self.became_child()

    def became_child(self) -> None:
        """Begin anew, in a process without the courier's thread."""
        self._courier = Courier(lambda error: self._guard.failed("opentelemetry", error))
        self._spans: Spans | None = None
        if self._instruments is not None:
            self._instruments.forget()

    def told(self) -> tuple[str, ...]:
        """Give the signals that go to providers of the program's."""
        return tuple(sorted(signal for signal in self._named if of_program(signal) is not None))

    def follow(self, changes: list[Change], news: News) -> None:
        """Tell of one look."""
        self._meet()
        if not self._met:
            return
        leases = [lease for lease in news.returned if is_sampled(lease.trace) and not lease.more.foreign]
        waits = [wait for wait in news.waited if is_sampled(wait.trace)]
        if not (changes or leases or waits or self._may_measure()):
            return
        if not self._courier.send(partial(self._tell, changes, leases, waits)):
            self._dropped["telemetry"] = self._dropped.get("telemetry", 0) + 1

    def pause(self) -> None:
        """Let the courier finish, a second at most, and end its thread: somebody forks."""
        self._courier.stop(1.0)

    def look_once_more(self) -> None:
        """Look for what came back since the last look, and tell of it, if anybody is to be told."""
        if self._wanted and self.told():
            self._look()
            self._courier.wait(_LAST)

    def close(self) -> None:
        """Tell what is left to tell, and nothing from then on."""
        atexit.unregister(self._before_theirs)
        self._courier.stop(_LAST)
        self._wanted.clear()
        if self._instruments is not None:
            self._instruments.read = None

    def _meet(self) -> None:
        """Come before providers that the program has just set, which at exit are shut down."""
        told = self.told()
        if told != self._met:
            self._met = told
            atexit.unregister(self._before_theirs)
            atexit.register(self._before_theirs)
            self._courier.stand_by()  # at exit it may be too late for a thread

    def _before_theirs(self) -> None:
        self.look_once_more()
        self._wanted -= {"spans", "logs"}  # metrics they collect once more themselves

    def _may_measure(self) -> bool:
        """Tell whether there is a provider that has no instruments of ours."""
        return "metrics" in self._wanted and of_program("metrics") is not self._measured

    def _tell(self, changes: list[Change], leases: list[Lease], waits: list[Wait]) -> None:
        self._guarded("metrics", self._measure)
        self._guarded("spans", lambda provider: self._trace(provider, changes, leases, waits))
        self._guarded("logs", lambda provider: self._log(provider, changes))

    def _guarded(self, signal: str, tell: Callable[[Any], object]) -> None:
        provider = of_program(signal) if signal in self._wanted else None
        if provider is not None:
            try:
                tell(provider)
            except Exception as error:  # whatever a provider or processor raises
                self._wanted.discard(signal)
                self._guard.failed(f"opentelemetry.{signal}", error)

    def _measure(self, provider: Any) -> None:
        if provider is self._measured:
            return
        self._measured = provider
        if _PROMETHEUS not in sys.modules:
            from poolwatch.export.otel.metrics import instruments_of

            self._instruments = instruments_of(provider)
            self._instruments.read = self._read

    def _trace(self, provider: Any, changes: list[Change], leases: list[Lease], waits: list[Wait]) -> None:
        if self._spans is None:
            from poolwatch.export.otel.spans import Spans

            self._spans = Spans()
        self._spans.tell(provider, changes, leases, waits)

    def _log(self, provider: Any, changes: list[Change]) -> None:
        if changes:
            from poolwatch.export.otel import logs

            logs.tell(provider, changes)
