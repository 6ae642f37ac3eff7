"""Prometheus: metric families of a report's numbers, when somebody scrapes; no number is kept here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UnknownMetricFamily,
)

from poolwatch.export import names
from poolwatch.export.names import Name
from poolwatch.export.numbers import MAX_SITES, Buckets, SiteChoice, Times, Values, plain, times
from poolwatch.model import Json

_PLAIN: dict[str, type[GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "unknown": UnknownMetricFamily,
}


class Collector:
    """What a prometheus_client registry scrapes: ``read`` gives the report, and may fail."""

    def __init__(self, read: Callable[[], Json]) -> None:
        self._read = read
        self._sites = SiteChoice(MAX_SITES)
        self.failed = 0
        """Scrapes that gave nothing because the report could not be read."""

    def register(self) -> None:
        """Join prometheus_client's default registry."""
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Leave the default registry."""
        REGISTRY.unregister(self)

    def describe(self) -> list[Metric]:
        """Claim no name, so that no metric of the host can ever collide with ours."""
        return []

    def collect(self) -> list[Metric]:
        """Give every family; none, and one more ``failed``, where the report cannot be read."""
        try:
            found = list(families(self._read(), self._sites))
        except Exception:
            self.failed += 1
            return []
        return [_with_failed(family, self.failed) for family in found]


def _with_failed(family: Metric, failed: int) -> Metric:
    if family.name == names.DROPPED.prometheus.removesuffix("_total") and failed:
        family.add_sample(names.DROPPED.prometheus, {"what": "scrapes"}, failed)
    return family


def families(report: Json, sites: SiteChoice | None = None) -> Iterator[Metric]:
    """Compute every metric of ``names.NAMES`` from a report."""
    for name, values in plain(report, sites or SiteChoice(MAX_SITES)):
        yield _family(name, values)
    for name, histograms in times(report):
        yield _histogram(name, histograms)


def _family(name: Name, values: Values) -> Metric:
    family = _PLAIN[name.type](name.prometheus, name.help, labels=name.labels, unit=_unit(name))
    for labels, value in values:
        family.add_metric([_clean(label) for label in labels], value)
    return family


def _histogram(name: Name, histograms: Times) -> Metric:
    family = HistogramMetricFamily(name.prometheus, name.help, labels=name.labels, unit=_unit(name))
    for labels, histogram in histograms:
        family.add_metric([_clean(label) for label in labels], list(_buckets(histogram)), histogram.sum)
    return family


def _buckets(histogram: Buckets) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
    for (bound, count), exemplar in zip(histogram.buckets, histogram.exemplars, strict=True):
        yield (_bound(bound), count, _exemplar(exemplar)) if exemplar else (_bound(bound), count)


def _exemplar(found: Json) -> Exemplar:
    # as long as ids are, whoever wrote the report: with more than 128 characters a scrape is refused
    labels = {"trace_id": _clean(found["trace_id"])[:32], "span_id": _clean(found["span_id"])[:16]}
    return Exemplar(labels, found["value"], found["at"])


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _unit(name: Name) -> str:
    return "seconds" if name.unit == "s" else ""


def _clean(label: str) -> str:
    """Give a label that can be encoded: file names may hold bytes that are no UTF-8."""
    return label if label.isascii() else label.encode("utf-8", "replace").decode()
