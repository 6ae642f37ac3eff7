"""Prometheus' two text formats, written straight from a report's numbers, for speed. Only OpenMetrics has exemplars.

``prometheus_client.generate_latest`` checks every name of every sample again, and it wants an object for each: with a
hundred pools that is most of a scrape (measured: 80 of 100 ms). Our names are ours and known to be good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import inf

from poolwatch.export.names import Name
from poolwatch.export.numbers import MAX_SITES, SiteChoice, Times, Values, plain, times
from poolwatch.model import Json

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_openmetrics(accept: str) -> bool:
    """Tell whether an Accept header likes OpenMetrics no less than the older format."""
    liking = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        kind, *parameters = [word.strip() for word in part.split(";")]
        if kind in liking:
            liking[kind] = max(liking[kind], _quality(parameters))
    openmetrics, plain = liking.values()
    return openmetrics > 0 and openmetrics >= plain


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def encode(report: Json, sites: SiteChoice | None = None) -> bytes:
    """Give every metric of ``names.NAMES`` in the text format, version 0.0.4."""
    return _encoded(_families(report, sites, _text_head, exemplars=False))


def encode_openmetrics(report: Json, sites: SiteChoice | None = None) -> bytes:
    """Give the same as OpenMetrics, version 1.0.0."""
    return _encoded(_families(report, sites, _openmetrics_head, exemplars=True)) + b"# EOF\n"


def _encoded(lines: Iterator[str]) -> bytes:
    return "".join(lines).encode("utf-8", "replace")  # file names may hold bytes that are no UTF-8


def _families(report: Json, sites: SiteChoice | None, head: Callable[[Name], str], exemplars: bool) -> Iterator[str]:
    for name, values in plain(report, sites or SiteChoice(MAX_SITES)):
        yield head(name)
        yield from _samples(name, values)
    for name, histograms in times(report):
        yield head(name)
        yield from _histograms(name, histograms, exemplars)


def _text_head(name: Name) -> str:
    kind = "untyped" if name.type == "unknown" else name.type
    return f"# HELP {name.prometheus} {name.help}\n# TYPE {name.prometheus} {kind}\n"


def _openmetrics_head(name: Name) -> str:
    family = name.prometheus.removesuffix("_total") if name.type == "counter" else name.prometheus
    unit = f"# UNIT {family} seconds\n" if name.unit == "s" else ""
    return f"# HELP {family} {name.help}\n# TYPE {family} {name.type}\n{unit}"


def _samples(name: Name, values: Values) -> Iterator[str]:
    for labels, value in values:
        inner = _labels(name.labels, labels)
        yield f"{name.prometheus}{{{inner}}} {value}\n" if inner else f"{name.prometheus} {value}\n"


def _histograms(name: Name, histograms: Times, exemplars: bool) -> Iterator[str]:
    metric = name.prometheus
    for labels, histogram in histograms:
        inner = _labels(name.labels, labels)
        start = f'{metric}_bucket{{{inner},le="'
        for (bound, count), exemplar in zip(histogram.buckets, histogram.exemplars, strict=True):
            said = _exemplar(exemplar) if exemplar and exemplars else ""
            yield f'{start}{_bound(bound)}"}} {count}{said}\n'
        yield f"{metric}_count{{{inner}}} {histogram.buckets[-1][1]}\n{metric}_sum{{{inner}}} {histogram.sum}\n"


def _exemplar(found: Json) -> str:
    # as long as ids are, whoever wrote the report: with more than 128 characters a scrape is refused
    trace, span = _escaped(found["trace_id"][:32]), _escaped(found["span_id"][:16])
    return f' # {{trace_id="{trace}",span_id="{span}"}} {found["value"]} {found["at"]}'


@lru_cache
def _bound(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(map(_label, names, values))


@lru_cache(4096)
def _label(name: str, value: str) -> str:
    """Give one label; a pool's name is in a dozen metrics, and in the next scrape again."""
    return f'{name}="{_escaped(value)}"'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
