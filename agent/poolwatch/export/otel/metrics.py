"""Metrics through a MeterProvider, under the same names as the scrape and from the same numbers.

OpenTelemetry has no observable histogram. Ours are ordinary ones: before each collection they are told of as many
values as there were new ones in each bucket, chosen within the bucket so that they add up to the new part of the sum.
Counts, buckets and sums are therefore those of the scrape; smallest and largest value are estimates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from poolwatch import __version__
from poolwatch.export import names
from poolwatch.export.names import NAMES, Name
from poolwatch.export.numbers import MAX_SITES, Buckets, SiteChoice, plain, times
from poolwatch.export.otel.providers import SCOPE
from poolwatch.export.otel.representatives import representatives
from poolwatch.ledger.records import BOUNDS
from poolwatch.model import Json

_ATTRIBUTES = {names.POOL_NAME: "db.client.connection.pool.name", names.STATE: "db.client.connection.state"}
_NO_SPAN = Context()
_Labels = tuple[str, ...]


class Instruments:
    """The instruments made of one provider, which keeps them for good; where ``read`` is None they say nothing."""

    def __init__(self, provider: Any) -> None:
        self.read: Callable[[], Json] | None = None
        self._sites = SiteChoice(MAX_SITES)
        self._values: dict[str, list[Observation]] = {}
        self._recorded: dict[tuple[str, _Labels], Recorded] = {}
        meter = provider.get_meter(SCOPE, __version__)
        self._histograms = {name.otel: _histogram(meter, name) for name in NAMES if name.type == "histogram"}
        for name in NAMES:
            if name.type != "histogram":
                _observable(meter, name)(name.otel, [self._observer(name)], name.unit, name.help)

    def forget(self) -> None:
        """Begin anew: the numbers of a report that is read from now on begin at zero."""
        self._recorded.clear()
        self._values.clear()

    def _observer(self, name: Name) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            # Every collection asks once for each: who is asked for again is in a new collection.
            if name.otel not in self._values:
                self._look()
            return self._values.pop(name.otel, [])

        return observe

    def _look(self) -> None:
        self._values.clear()
        if self.read is None:
            return
        report = self.read()
        for name, values in plain(report, self._sites):
            self._values[name.otel] = [Observation(value, _attributes(name, labels)) for labels, value in values]
        for name, histograms in times(report):
            for labels, histogram in histograms:
                self._record(name, tuple(labels), histogram)

    def _record(self, name: Name, labels: _Labels, histogram: Buckets) -> None:
        recorded = self._recorded.setdefault((name.otel, labels), Recorded(len(histogram.buckets)))
        instrument, attributes = self._histograms[name.otel], _attributes(name, labels)
        for value, often in recorded.missing(histogram):
            for _ in range(often):
                instrument.record(value, attributes, _NO_SPAN)


class Recorded:
    """What a histogram was told of so far."""

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0

    def missing(self, histogram: Buckets) -> list[tuple[float, int]]:
        """Give the values (seconds, how often) that bring it to ``histogram``, and count them as told."""
        cumulative = [count for _, count in histogram.buckets]
        counts = [count - below for count, below in zip(cumulative, [0, *cumulative], strict=False)]
        fresh = [max(0, count - told) for count, told in zip(counts, self.counts, strict=True)]
        bounds = [bound for bound, _ in histogram.buckets]
        found = representatives(bounds, fresh, histogram.sum - self.sum)
        self.counts = [told + new for told, new in zip(self.counts, fresh, strict=True)]
        self.sum += sum(value * often for value, often in found)
        return found


_known: WeakKeyDictionary[Any, Instruments] = WeakKeyDictionary()


def instruments_of(provider: Any) -> Instruments:
    """Give the instruments of a provider; makes them once, because no provider takes callbacks for a name twice."""
    found = _known.get(provider)
    if found is None:
        found = _known[provider] = Instruments(provider)
    found.forget()
    return found


def _attributes(name: Name, labels: Sequence[str]) -> dict[str, str]:
    return {_ATTRIBUTES.get(label, label): value for label, value in zip(name.labels, labels, strict=True)}


def _histogram(meter: Meter, name: Name) -> Histogram:
    try:
        return meter.create_histogram(name.otel, name.unit, name.help, explicit_bucket_boundaries_advisory=list(BOUNDS))
    except TypeError:  # before OpenTelemetry 1.30: the provider's own bounds
        return meter.create_histogram(name.otel, name.unit, name.help)


def _observable(meter: Meter, name: Name) -> Callable[..., object]:
    """Give what makes the instrument: of gauges, the conventions' are up-down counters."""
    if name.type == "counter" or name is names.FINDINGS_TOTAL:
        return meter.create_observable_counter
    if name.otel.startswith("db."):
        return meter.create_observable_up_down_counter
    return meter.create_observable_gauge
