"""Adds up the numbers of processes that ended, so that what they have counted stays counted. Bounded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from poolwatch.model import Json, added
from poolwatch.model.histograms import summed, table
from poolwatch.report.merge import merge, site_key

MAX_ENTRIES = 1000
"""Pools, sites, totals and findings kept of the dead; totals beyond share an entry."""
OTHER = "other"
_LARGEST = 1e18
_LOWEST = -1
"""Some libraries say "no limit" with it."""


def problem(report: Json) -> str | None:
    """Say which number of a report that follows the schema cannot be added up; None where all can."""
    lists = (report.get(name, []) for name in ("processes", "pools", "sites", "scopes", "findings_total"))
    if not all(map(_countable, lists)):
        return f"a number is below {_LOWEST} or above {_LARGEST:g}"
    if not all(_countable([one["count"], one["first_seen"], one["last_seen"]]) for one in report["findings"]):
        return f"a finding has a number below {_LOWEST} or above {_LARGEST:g}"
    try:
        for pool in report["pools"]:
            for name in _HISTOGRAMS:
                _check(pool.get(name, _EMPTY))
    except (ValueError, TypeError, OverflowError) as error:
        return f"a histogram is none: {error}"
    return None


def _countable(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return _LOWEST <= value <= _LARGEST
    if isinstance(value, dict):
        return all(map(_countable, value.values()))
    return not isinstance(value, list) or all(map(_countable, value))


def add(carried: Json, ended: Json) -> Json:
    """Give ``carried``, the report of the dead as one process, with one more process that has ended."""
    return {
        **carried,
        "processes": [_process(carried["processes"][0], process) for process in ended["processes"]],
        "pools": _grouped([*carried["pools"], *map(_emptied, ended["pools"])], _pool_key, _pool_beyond, _add_pool),
        "sites": _grouped(
            [*carried["sites"], *map(_given_back, ended.get("sites", []))], _site_key, _site_beyond, _adder(_SITE)
        ),
        "scopes": _grouped([*carried["scopes"], *ended.get("scopes", [])], _scope_key, _scope_beyond, _add_scope),
        "findings_total": _grouped(
            [*carried["findings_total"], *ended.get("findings_total", [])], _total_key, _total_beyond, _adder(["count"])
        ),
        "findings": _latest(merge([carried, ended])["findings"]),
    }


def count(carried: Json, findings: Iterable[Json]) -> Json:
    """Give ``carried`` with findings counted that were made beside those of the processes."""
    new = [{**{name: one[name] for name in ("kind", "grade", "pool")}, "count": 1} for one in findings]
    grouped = _grouped([*carried["findings_total"], *new], _total_key, _total_beyond, _adder(["count"]))
    return {**carried, "findings_total": grouped}


def _latest(findings: list[Json]) -> list[Json]:
    return sorted(findings, key=lambda finding: finding["last_seen"], reverse=True)[:MAX_ENTRIES]


_COUNTS = ("hook_errors", "dropped", "remedies", "alerts")


def _process(one: Json, other: Json) -> Json:
    counts = {name: _counts(one.get(name, {}), other.get(name, {})) for name in _COUNTS}
    ended = one.get("processes_ended", 0) + 1
    cpu = added(process.get("watcher_cpu_seconds", 0.0) for process in (one, other))
    return {**one, **counts, "watcher_cpu_seconds": cpu, "processes_ended": ended}


def _counts(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def _grouped(
    items: Iterable[Json],
    key: Callable[[Json], Hashable],
    beyond: Callable[[Json], Json],
    add: Callable[[Json, Json], Json],
) -> list[Json]:
    groups: dict[Hashable, Json] = {}
    for item in items:
        if key(item) not in groups and len(groups) >= MAX_ENTRIES:
            item = beyond(item)
        known = groups.get(key(item))
        groups[key(item)] = item if known is None else add(known, item)
    return list(groups.values())


def _adder(fields: Iterable[str]) -> Callable[[Json, Json], Json]:
    return lambda one, other: {**one, **{name: added([one.get(name, 0), other.get(name, 0)]) for name in fields}}


_SITE = ("checkouts_total", "use_seconds_total", "busy_seconds_total")


def _site_key(site: Json) -> Hashable:
    return site["pool"], site_key(site["site"])


def _given_back(site: Json) -> Json:
    """Give the site of a process that ended: it holds nothing any more."""
    return {**site, "leases": 0}


def _site_beyond(site: Json) -> Json:
    return {**site, "pool": OTHER, "site": None}


_SCOPE = ("flows_total", "leases_total", "wait_seconds_total", "use_seconds_total", "busy_seconds_total")


def _scope_key(scope: Json) -> Hashable:
    return str(scope["name"])


def _scope_beyond(scope: Json) -> Json:
    return {**scope, "name": OTHER}


def _add_scope(one: Json, other: Json) -> Json:
    most = max(one.get("most_at_once", 0), other.get("most_at_once", 0))
    return {**_adder(_SCOPE)(one, other), "most_at_once": most}


def _total_key(total: Json) -> Hashable:
    return total["kind"], total["grade"], total["pool"]


def _total_beyond(total: Json) -> Json:
    return {**total, "kind": OTHER, "pool": OTHER}


_TOTALS = ("checkouts_total", "timeouts_total", "hand_offs_total", "connects_total")
_HISTOGRAMS = ("wait_seconds", "use_seconds", "create_seconds")
_EMPTY: Json = {"buckets": [], "sum": 0.0, "count": 0}


def _pool_key(pool: Json) -> Hashable:
    return pool["name"], pool["library"], pool["class"]


def _pool_beyond(pool: Json) -> Json:
    return {**pool, "name": OTHER, "library": OTHER, "class": OTHER}


def _emptied(pool: Json) -> Json:
    """Give the pool of a process that ended: it holds and allows nothing any more."""
    nothing = {"pid": 0, "used": 0, "idle": 0, "waiting": 0, "leases_by_owner": {}, "oldest_lease_seconds": 0.0}
    nothing |= {"sockets": [], "peers": [], "floors": []}
    return {**pool, **nothing, "limits": {"size": 0, "max": 0, "timeout": None}}


def _add_pool(one: Json, other: Json) -> Json:
    times = {name: _add_times(one.get(name, _EMPTY), other.get(name, _EMPTY)) for name in _HISTOGRAMS}
    return {**_adder(_TOTALS)(one, other), **times}


def _add_times(one: Json, other: Json) -> Json:
    bounds, (_, *counts) = summed([table(one), table(other)])
    shown = ["+Inf" if bound == float("inf") else bound for bound in bounds]
    return {
        "buckets": [list(pair) for pair in zip(shown, counts, strict=True)],
        "sum": added([one["sum"], other["sum"]]),
        "count": one["count"] + other["count"],
    }


def _check(histogram: Json) -> None:
    bounds, counts = table(histogram)
    if bounds != sorted(bounds) or counts != sorted(counts):
        raise ValueError("buckets are out of order")
