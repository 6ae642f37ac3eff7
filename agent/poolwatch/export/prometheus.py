"""Prometheus: metric families computed from a report when somebody scrapes; no number is kept here.

The report may be of one process or of several: numbers of pools with one name are added up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import REGISTRY, Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UnknownMetricFamily,
)

from poolwatch.export import names
from poolwatch.export.names import Name
from poolwatch.export.scopes import ScopeChoice
from poolwatch.model import Json

OWNER_KINDS = ("thread", "task", "greenlet")
OTHER = "other"
MAX_SITES = 100
"""Sites with series of their own; the others share the site ``other``."""

_PLAIN: dict[str, type[GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "unknown": UnknownMetricFamily,
}

Values = Iterable[tuple[Sequence[str], float]]


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


class SiteChoice:
    """The sites that have series of their own. One that was chosen stays, or ``other`` would shrink."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chosen: set[tuple[str, str]] = set()
        self.scopes = ScopeChoice()

    def label(self, sites: Iterable[Json]) -> list[tuple[tuple[str, str], Json]]:
        """Give (pool, site) labels for the totals in ``sites``; the longest users are chosen first."""
        ranked = sorted(sites, key=lambda site: site["use_seconds_total"], reverse=True)
        return [(self._label(site["pool"], site["site"]), site) for site in ranked]

    def _label(self, pool: str, site: Json | None) -> tuple[str, str]:
        if site is None:
            return (pool, OTHER)
        label = (pool, f"{site['file']}:{site['line']} {site['function']}")
        if label not in self._chosen and len(self._chosen) >= self._limit:
            return (pool, OTHER)
        self._chosen.add(label)
        return label


def families(report: Json, sites: SiteChoice | None = None) -> Iterator[Metric]:
    """Compute every metric of ``names.NAMES`` from a report."""
    yield from _pools(_by_name(report["pools"]))
    yield from _findings(report)
    yield from _leases(_by_name(report["pools"]))
    yield _family(names.PROCESS_LEASES, _by_process(report))
    sites = sites or SiteChoice(MAX_SITES)
    yield from _sites(sites.label(report.get("sites", ())))
    yield from (_family(name, sums.items()) for name, sums in sites.scopes.sums(report.get("scopes", ())))
    yield from _processes(report["processes"])


Pools = dict[str, list[Json]]


def _by_name(pools: Iterable[Json]) -> Pools:
    grouped: Pools = {}
    for pool in pools:
        grouped.setdefault(pool["name"], []).append(pool)
    return grouped


def _pools(pools: Pools) -> Iterator[Metric]:
    counts = [((name, state), _sum(group, state)) for name, group in pools.items() for state in ("idle", "used")]
    yield _family(names.COUNT, counts)
    yield _family(names.IDLE_MAX, _limits(pools, "size"))
    # No pool that is hooked today keeps idle connections on purpose.
    yield _family(names.IDLE_MIN, (((name,), 0) for name in pools))
    yield _family(names.MAX, _limits(pools, "max"))
    yield _family(names.PENDING, _sums(pools, "waiting"))
    yield _family(names.TIMEOUTS, _sums(pools, "timeouts_total"))
    yield _histogram(names.CREATE_TIME, pools, "create_seconds")
    yield _histogram(names.WAIT_TIME, pools, "wait_seconds")
    yield _histogram(names.USE_TIME, pools, "use_seconds")


def _leases(pools: Pools) -> Iterator[Metric]:
    by_owner = [
        ((name, kind), sum(pool.get("leases_by_owner", {}).get(kind, 0) for pool in group))
        for name, group in pools.items()
        for kind in OWNER_KINDS
    ]
    yield _family(names.LEASES, by_owner)
    oldest = [((name,), max(pool.get("oldest_lease_seconds", 0) for pool in group)) for name, group in pools.items()]
    yield _family(names.OLDEST_LEASE, oldest)
    yield _family(names.HAND_OFFS, _sums(pools, "hand_offs_total"))


def _by_process(report: Json) -> Values:
    """Give the leases of each slot; one process alone has slot 0, of several those count that were given one."""
    processes = report["processes"]
    slots = {process["pid"]: process["slot"] for process in processes if "slot" in process}
    if not slots and len(processes) == 1:
        slots = {processes[0]["pid"]: 0}
    leases: Counter[str] = Counter(dict.fromkeys(map(str, slots.values()), 0))
    for pool in report["pools"]:
        if pool["pid"] in slots:
            leases[str(slots[pool["pid"]])] += sum(pool.get("leases_by_owner", {}).values())
    return (((slot,), count) for slot, count in leases.items())


def _findings(report: Json) -> Iterator[Metric]:
    now: Counter[tuple[str, str, str]] = Counter()
    ever: Counter[tuple[str, str, str]] = Counter()
    for total in report.get("findings_total", []):
        ever[total["kind"], total["grade"], total["pool"]] += total["count"]
    for finding in report["findings"]:
        labels = (finding["kind"], finding["grade"], finding["pool"])
        now[labels] += finding["state"] == "open"
    yield _family(names.FINDINGS, now.items())
    yield _family(names.FINDINGS_TOTAL, ever.items())


def _sites(sites: list[tuple[tuple[str, str], Json]]) -> Iterator[Metric]:
    for name, field in (
        (names.SITE_CHECKOUTS, "checkouts_total"),
        (names.SITE_USE, "use_seconds_total"),
        (names.SITE_BUSY, "busy_seconds_total"),
    ):
        totals: Counter[tuple[str, str]] = Counter()
        for label, site in sites:
            totals[label] += site[field]
        yield _family(name, totals.items())


def _processes(processes: Sequence[Json]) -> Iterator[Metric]:
    yield _family(names.HOOK_ERRORS, _counts(process.get("hook_errors", {}) for process in processes))
    yield _family(names.DROPPED, _counts(process.get("dropped", {}) for process in processes))
    yield _family(names.WATCHER_CPU, [((), _sum(processes, "watcher_cpu_seconds"))])
    versions = {_build(process["versions"]) for process in processes}
    yield _family(names.BUILD_INFO, ((version, 1) for version in sorted(versions)))


def _build(versions: dict[str, str]) -> tuple[str, str]:
    return (versions.get("poolwatch", "unknown"), versions.get("python", "unknown"))


def _counts(parts: Iterable[dict[str, int]]) -> Values:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return (((what,), count) for what, count in total.items())


def _sums(pools: Pools, field: str) -> Values:
    return (((name,), _sum(group, field)) for name, group in pools.items())


def _sum(group: Iterable[Json], field: str) -> float:
    total: float = sum(item.get(field, 0) for item in group)
    return total


def _limits(pools: Pools, field: str) -> Values:
    """Give the limit of each pool that has one in every process."""
    for name, group in pools.items():
        limits = [pool["limits"][field] for pool in group]
        if None not in limits:
            yield (name,), sum(limits)


def _family(name: Name, values: Values) -> Metric:
    family = _PLAIN[name.type](name.prometheus, name.help, labels=name.labels, unit=_unit(name))
    for labels, value in values:
        family.add_metric([_clean(label) for label in labels], value)
    return family


def _histogram(name: Name, pools: Pools, field: str) -> Metric:
    family = HistogramMetricFamily(name.prometheus, name.help, labels=name.labels, unit=_unit(name))
    for pool, group in pools.items():
        buckets, total = _merge([member[field] for member in group if field in member])
        if buckets:
            family.add_metric([_clean(pool)], buckets, total)
    return family


def _merge(histograms: Sequence[Json]) -> tuple[list[tuple[str, int]], float]:
    """Add up cumulative histograms; where bounds differ, a bound counts what is surely below it."""
    tables = [_table(histogram) for histogram in histograms]
    bounds = sorted({bound for table, _ in tables for bound in table})
    sums = [sum(counts[bisect_right(table, bound)] for table, counts in tables) for bound in bounds]
    return list(zip(map(_bound, bounds), sums, strict=True)), sum(histogram["sum"] for histogram in histograms)


def _table(histogram: Json) -> tuple[list[float], list[int]]:
    """Give the bounds, and the counts with a zero for what lies below the first bound."""
    buckets = histogram["buckets"]
    return [float(bound) for bound, _ in buckets], [0, *(count for _, count in buckets)]


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _unit(name: Name) -> str:
    return "seconds" if name.unit == "s" else ""


def _clean(label: str) -> str:
    """Give a label that can be encoded: file names may hold bytes that are no UTF-8."""
    return label.encode("utf-8", "replace").decode()
