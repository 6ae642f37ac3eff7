"""Every metric's numbers, computed from a report when somebody asks; no number is kept here.

The report may be of one process or of several: numbers of pools with one name are added up. Scrape and OTLP both read
this, so they show the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from poolwatch.export import hosts, names
from poolwatch.export.names import Name
from poolwatch.export.scopes import ScopeChoice
from poolwatch.model import Json, added
from poolwatch.model.histograms import summed, table

OWNER_KINDS = ("thread", "task", "greenlet")
OTHER = "other"
MAX_SITES = 100
"""Sites with series of their own; the others share the site ``other``."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram: (upper bound, cumulative count), the last bound is infinity; at most one exemplar for each."""

    buckets: list[tuple[float, int]]
    sum: float
    exemplars: list[Json | None]


Values = Iterable[tuple[Sequence[str], float]]
Times = Iterable[tuple[Sequence[str], Buckets]]
Series = tuple[Name, Values]
TimeSeries = tuple[Name, Times]


class SiteChoice:
    """The sites that have series of their own. One that was chosen stays, or ``other`` would shrink."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._chosen: set[tuple[str, str]] = set()
        self.scopes = ScopeChoice()

    def label(self, sites: Iterable[Json]) -> list[tuple[tuple[str, str], Json]]:
        """Give (pool, site) labels for the totals in ``sites`` that have any; the longest users are chosen first."""
        known = [site for site in sites if site["checkouts_total"]]
        ranked = sorted(known, key=lambda site: site["use_seconds_total"], reverse=True)
        return [(self._label(site["pool"], site["site"]), site) for site in ranked]

    def _label(self, pool: str, site: Json | None) -> tuple[str, str]:
        label = _site_label(pool, site)
        if site is None or (label not in self._chosen and len(self._chosen) >= self._limit):
            return (pool, OTHER)
        self._chosen.add(label)
        return label

    def held(self, sites: Iterable[Json]) -> dict[tuple[str, str], int]:
        """Give the leases out now by (pool, site). No gauge has to stay: who holds most has a series of its own."""
        now: Counter[tuple[str, str]] = Counter()
        for site in sites:
            now[_site_label(site["pool"], site["site"])] += site.get("leases", 0)
        lines = [label for label in now if label[1] != OTHER]
        named = set(sorted(lines, key=lambda label: (-now[label], label not in self._chosen))[: self._limit])
        found: Counter[tuple[str, str]] = Counter()
        for label, many in now.items():
            found[label if label in named else (label[0], OTHER)] += many
        return found


def _site_label(pool: str, site: Json | None) -> tuple[str, str]:
    return (pool, f"{site['file']}:{site['line']} {site['function']}" if site else OTHER)


def plain(report: Json, sites: SiteChoice) -> Iterator[Series]:
    """Compute every metric of ``names.NAMES`` that is no histogram: for each set of label values a number."""
    yield from _pools(_by_name(report["pools"]))
    yield from _findings(report)
    yield from _leases(_by_name(report["pools"]))
    yield names.PROCESS_LEASES, _by_process(report)
    yield from _sites(sites.label(report.get("sites", ())))
    yield names.SITE_LEASES, sites.held(report.get("sites", ())).items()
    yield from ((name, sums.items()) for name, sums in sites.scopes.sums(report.get("scopes", ())))
    yield from _processes(report["processes"])
    yield names.ALERTS, _alerts(report)
    yield from hosts.series(report)


def times(report: Json) -> Iterator[TimeSeries]:
    """Compute the histograms."""
    pools = _by_name(report["pools"])
    yield names.CREATE_TIME, _histograms(pools, "create_seconds")
    yield names.WAIT_TIME, _histograms(pools, "wait_seconds")
    yield names.USE_TIME, _histograms(pools, "use_seconds")


Pools = dict[str, list[Json]]


def _by_name(pools: Iterable[Json]) -> Pools:
    grouped: Pools = {}
    for pool in pools:
        grouped.setdefault(pool["name"], []).append(pool)
    return grouped


def _pools(pools: Pools) -> Iterator[Series]:
    counts = [((name, state), _sum(group, state)) for name, group in pools.items() for state in ("idle", "used")]
    yield names.COUNT, counts
    yield names.IDLE_MAX, _limits(pools, "size")
    # No pool that is hooked today keeps idle connections on purpose.
    yield names.IDLE_MIN, (((name,), 0) for name in pools)
    yield names.MAX, _limits(pools, "max")
    yield names.PENDING, _sums(pools, "waiting")
    yield names.TIMEOUTS, _sums(pools, "timeouts_total")


def _leases(pools: Pools) -> Iterator[Series]:
    by_owner = [
        ((name, kind), sum(pool.get("leases_by_owner", {}).get(kind, 0) for pool in group))
        for name, group in pools.items()
        for kind in OWNER_KINDS
    ]
    yield names.LEASES, by_owner
    oldest = [((name,), max(pool.get("oldest_lease_seconds", 0) for pool in group)) for name, group in pools.items()]
    yield names.OLDEST_LEASE, oldest
    yield names.HAND_OFFS, _sums(pools, "hand_offs_total")


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


def _findings(report: Json) -> Iterator[Series]:
    now: Counter[tuple[str, str, str]] = Counter()
    ever: Counter[tuple[str, str, str]] = Counter()
    for total in report.get("findings_total", []):
        ever[total["kind"], total["grade"], total["pool"]] += total["count"]
    for finding in report["findings"]:
        labels = (finding["kind"], finding["grade"], finding["pool"])
        now[labels] += finding["state"] == "open"
    yield names.FINDINGS, now.items()
    yield names.FINDINGS_TOTAL, ever.items()


def _sites(sites: list[tuple[tuple[str, str], Json]]) -> Iterator[Series]:
    for name, field in (
        (names.SITE_CHECKOUTS, "checkouts_total"),
        (names.SITE_USE, "use_seconds_total"),
        (names.SITE_BUSY, "busy_seconds_total"),
    ):
        terms: dict[tuple[str, str], list[float]] = {}
        for label, site in sites:
            terms.setdefault(label, []).append(site[field])
        yield name, [(label, added(values)) for label, values in terms.items()]


def _processes(processes: Sequence[Json]) -> Iterator[Series]:
    yield names.HOOK_ERRORS, _counts(process.get("hook_errors", {}) for process in processes)
    yield names.DROPPED, _counts(process.get("dropped", {}) for process in processes)
    yield names.WATCHER_CPU, [((), _sum(processes, "watcher_cpu_seconds"))]
    versions = {_build(process["versions"]) for process in processes}
    yield names.BUILD_INFO, ((version, 1) for version in sorted(versions))


def _alerts(report: Json) -> Values:
    """Add up what processes have sent, and who sends for all of them."""
    parts = [report, *report["processes"]]
    return ((what.split(), count) for (what,), count in _counts(part.get("alerts", {}) for part in parts))


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
    return added(item.get(field, 0) for item in group)


def _limits(pools: Pools, field: str) -> Values:
    """Give the limit of each pool that has one in every process."""
    for name, group in pools.items():
        limits = [pool["limits"][field] for pool in group]
        if None not in limits:
            yield (name,), sum(limits)


def _histograms(pools: Pools, field: str) -> Times:
    for pool, group in pools.items():
        buckets = _merge([member[field] for member in group if field in member])
        if buckets.buckets:
            yield (pool,), buckets


def _merge(histograms: Sequence[Json]) -> Buckets:
    bounds, (_, *sums) = summed(map(table, histograms))
    exemplars = [exemplar for histogram in histograms for exemplar in histogram.get("exemplars", ())]
    total = added(histogram["sum"] for histogram in histograms)
    return Buckets(list(zip(bounds, sums, strict=True)), total, _placed(exemplars, bounds))


def _placed(exemplars: list[Json], bounds: list[float]) -> list[Json | None]:
    """Give for each bucket the latest exemplar in it."""
    places: list[Json | None] = [None] * len(bounds)
    for exemplar in sorted(exemplars, key=lambda exemplar: float(exemplar["at"])):
        places[bisect_left(bounds, exemplar["value"])] = exemplar
    return places
