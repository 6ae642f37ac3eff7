"""The metrics: right numbers, right names, and a format that Prometheus' own tools accept."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from poolwatch.collecting import sums
from poolwatch.export.exposition import encode, encode_openmetrics
from poolwatch.export.names import NAMES
from poolwatch.export.numbers import SiteChoice
from poolwatch.export.prometheus import Collector, families
from poolwatch.model import (
    Finding,
    FindingTotal,
    Histogram,
    Json,
    Limits,
    PoolState,
    Process,
    ScopeTotals,
    Site,
    SiteTotals,
    Snapshot,
)
from poolwatch.report import schema
from poolwatch.report.merge import merge

INFINITY = float("inf")
TIMES = Histogram(((0.01, 1), (0.1, 2), (INFINITY, 3)), 1.5, 3)
POOL = PoolState(
    "orders", "sqlalchemy", "QueuePool", 1, Limits(5, 15, 30.0), used=2, idle=1, waiting=4, checkouts_total=9,
    timeouts_total=7, hand_offs_total=6, wait_seconds=TIMES, use_seconds=TIMES, create_seconds=TIMES,
    leases_by_owner={"thread": 1, "task": 1}, oldest_lease_seconds=3.5,
)  # fmt: skip
FINDING = Finding("leak.collected", "proved", "orders", "sqlalchemy", "summary", "hint", id="1", count=3)
SITE = SiteTotals("orders", Site("shop.py", 41, "sell"), 9, 4.0, 2.0, leases=2)
PROCESS = Process(
    1, 0, ("shop.py",), 0.0, versions={"python": "3.11.7", "poolwatch": "0.1.0"}, hook_errors={"sqlalchemy": 2},
    dropped={"sites": 5}, watcher_cpu_seconds=0.25,
)  # fmt: skip
TOTAL = FindingTotal("leak.collected", "proved", "orders", 3)
SCOPE = ScopeTotals("GET /orders/{id}", 8, 9, 2, 0.5, 4.0, 2.0)
SNAPSHOT = Snapshot(
    100.0, PROCESS, (POOL,), sites=(SITE,), scopes=(SCOPE,), findings=(FINDING,), findings_total=(TOTAL,)
)


def report(snapshot: Snapshot = SNAPSHOT) -> Json:
    """Give a report as it comes from a file: after a turn through JSON."""
    parsed: Json = json.loads(json.dumps(snapshot.to_json()))
    return parsed


def from_outside() -> Json:
    """Give a report as the agent makes it, with what only it knows."""
    server = {"name": "db:5432", "error": None, "max_connections": 100, "connections": 7, "pool_limit": 80}
    return {**report(), "alerts": {"log sent": 1}, "servers": [{**server, "sessions_elsewhere": 2}]}


def numbers(found: list[Metric]) -> dict[tuple[str, ...], float]:
    """Give each sample's value by its name and label values."""
    return {(s.name, *s.labels.values()): s.value for family in found for s in family.samples}


def test_numbers_are_those_of_the_report() -> None:
    """Each number of a report is found under the name that the design gives it."""
    found = numbers(list(families(report())))
    prefix = "db_client_connection_"
    assert found[prefix + "count", "orders", "used"] == 2
    assert found[prefix + "count", "orders", "idle"] == 1
    assert found[prefix + "idle_max", "orders"] == 5
    assert found[prefix + "max", "orders"] == 15
    assert found[prefix + "pending_requests", "orders"] == 4
    assert found[prefix + "timeouts_total", "orders"] == 7
    for name in ("create_time", "wait_time", "use_time"):
        assert found[f"{prefix}{name}_seconds_bucket", "orders", "0.1"] == 2
        assert found[f"{prefix}{name}_seconds_bucket", "orders", "+Inf"] == 3
        assert found[f"{prefix}{name}_seconds_sum", "orders"] == 1.5
        assert found[f"{prefix}{name}_seconds_count", "orders"] == 3
    assert found["poolwatch_findings", "leak.collected", "proved", "orders"] == 1
    assert found["poolwatch_findings_total", "leak.collected", "proved", "orders"] == 3
    assert found["poolwatch_leases", "orders", "task"] == 1
    assert found["poolwatch_leases", "orders", "greenlet"] == 0
    assert found["poolwatch_oldest_lease_seconds", "orders"] == 3.5
    assert found["poolwatch_hand_offs_total", "orders"] == 6
    assert found["poolwatch_site_checkouts_total", "orders", "shop.py:41 sell"] == 9
    assert found["poolwatch_site_use_seconds_total", "orders", "shop.py:41 sell"] == 4
    assert found["poolwatch_site_busy_seconds_total", "orders", "shop.py:41 sell"] == 2
    assert found["poolwatch_site_leases", "orders", "shop.py:41 sell"] == 2
    assert found["poolwatch_hook_errors_total", "sqlalchemy"] == 2
    assert found["poolwatch_dropped_total", "sites"] == 5
    assert found["poolwatch_scope_leases_total", "GET /orders/{id}"] == 9
    assert found["poolwatch_scope_wait_seconds_total", "GET /orders/{id}"] == 0.5
    assert found["poolwatch_watcher_cpu_seconds_total",] == 0.25
    assert found["poolwatch_build_info", "0.1.0", "3.11.7"] == 1


def test_families_are_those_of_the_table() -> None:
    """Every family given is in the table, every name of the table is given, with its labels."""
    given = {f"{f.name}_total" if f.type == "counter" else f.name: f for f in families(from_outside())}
    assert set(given) == {name.prometheus for name in NAMES}
    for name in NAMES:
        labels = set(given[name.prometheus].samples[0].labels) - {"le"}
        assert (given[name.prometheus].type, labels) == (name.type, set(name.labels)), name


def test_names_are_unique() -> None:
    """No two metrics share a name, in Prometheus or in OpenTelemetry."""
    assert len({name.prometheus for name in NAMES}) == len({name.otel for name in NAMES}) == len(NAMES)


def test_processes_are_added_up() -> None:
    """Pools with one name in two processes are one pool with both their numbers; of ages the oldest counts."""
    other = replace(SNAPSHOT, pools=(replace(POOL, pid=2, used=5, oldest_lease_seconds=9.0),))
    found = numbers(list(families(merge([report(), report(other)]))))
    assert found["db_client_connection_count", "orders", "used"] == 7
    assert found["db_client_connection_max", "orders"] == 30
    assert found["db_client_connection_use_time_seconds_bucket", "orders", "0.1"] == 4
    assert found["poolwatch_oldest_lease_seconds", "orders"] == 9
    assert found["poolwatch_site_checkouts_total", "orders", "shop.py:41 sell"] == 18
    assert found["poolwatch_site_leases", "orders", "shop.py:41 sell"] == 4
    assert found["poolwatch_findings_total", "leak.collected", "proved", "orders"] == 6


def test_histograms_with_other_bounds_are_added_up() -> None:
    """Where bounds differ, no bucket counts more than what lies below its bound."""
    pool = replace(POOL, pid=2, use_seconds=Histogram(((0.05, 10), (INFINITY, 20)), 1.0, 20))
    found = numbers(list(families(report(replace(SNAPSHOT, pools=(POOL, pool))))))
    buckets = [
        found["db_client_connection_use_time_seconds_bucket", "orders", bound]
        for bound in ("0.01", "0.05", "0.1", "+Inf")
    ]
    assert buckets == [1, 11, 12, 23]


def test_a_pool_without_limit_has_no_max() -> None:
    """A limit that is not there is no number."""
    found = numbers(list(families(report(replace(SNAPSHOT, pools=(replace(POOL, limits=Limits()),))))))
    assert ("db_client_connection_max", "orders") not in found
    assert ("db_client_connection_idle_max", "orders") not in found


def test_a_resolved_finding_counts_zero_now() -> None:
    """A finding that was resolved is not open, but has been."""
    found = numbers(list(families(report(replace(SNAPSHOT, findings=(replace(FINDING, state="resolved"),))))))
    assert found["poolwatch_findings", "leak.collected", "proved", "orders"] == 0
    assert found["poolwatch_findings_total", "leak.collected", "proved", "orders"] == 3


def test_sites_beyond_the_limit_are_other_and_stay_so() -> None:
    """A site that has a series keeps it, whoever overtakes it, so that ``other`` never shrinks."""
    choice = SiteChoice(2)

    def scrape(*uses: float) -> dict[tuple[str, ...], float]:
        sites = [replace(SITE, site=Site("shop.py", line, "f"), use_seconds_total=use) for line, use in enumerate(uses)]
        found = numbers(list(families(report(replace(SNAPSHOT, sites=tuple(sites))), choice)))
        return {key[2:]: value for key, value in found.items() if key[0] == "poolwatch_site_use_seconds_total"}

    assert scrape(1, 3, 2) == {("shop.py:1 f",): 3, ("shop.py:2 f",): 2, ("other",): 1}
    assert scrape(99, 3, 2) == {("shop.py:1 f",): 3, ("shop.py:2 f",): 2, ("other",): 99}


def test_a_line_that_holds_is_named_however_late_it_comes() -> None:
    """Who has most out has a series of its own, though others have cost more and were there before."""
    choice = SiteChoice(2)

    def scrape(*leases: int) -> dict[tuple[str, ...], float]:
        sites = [
            SiteTotals("orders", Site("shop.py", line, "f"), 9, 5.0 - line, 0.0, many)
            for line, many in enumerate(leases)
        ]
        sites.append(SiteTotals("orders", None, 0, 0.0, 0.0, 9))
        found = numbers(list(families(report(replace(SNAPSHOT, sites=tuple(sites))), choice)))
        return {key[2:]: value for key, value in found.items() if key[0] == "poolwatch_site_leases"}

    assert scrape(0, 0) == {("shop.py:0 f",): 0, ("shop.py:1 f",): 0, ("other",): 9}
    assert scrape(0, 1, 3) == {("shop.py:1 f",): 1, ("shop.py:2 f",): 3, ("other",): 9}
    assert scrape(0, 0, 0, 1) == {("shop.py:0 f",): 0, ("shop.py:3 f",): 1, ("other",): 9}


def test_a_line_of_which_nothing_came_back_has_no_totals() -> None:
    """A counter that has counted nothing takes nobody's place among the sites with series."""
    fresh = SiteTotals("orders", Site("shop.py", 7, "forget"), 0, 0.0, 0.0, leases=1)
    found = numbers(list(families(report(replace(SNAPSHOT, sites=(fresh, SITE))), SiteChoice(1))))
    assert {name: value for (name, *labels), value in found.items() if "shop.py:7 forget" in labels} == {}
    found = numbers(list(families(report(replace(SNAPSHOT, sites=(fresh,))), SiteChoice(1))))
    named = {name: value for (name, *labels), value in found.items() if "shop.py:7 forget" in labels}
    assert named == {"poolwatch_site_leases": 1}


def test_who_has_ended_holds_nothing() -> None:
    """What a process had out when it ended is not out any more; what it has counted stays."""
    nobody = report(replace(SNAPSHOT, pools=(), sites=(), findings=()))
    found = numbers(list(families(sums.add(nobody, report()))))
    assert found["poolwatch_site_leases", "orders", "shop.py:41 sell"] == 0
    assert found["poolwatch_site_checkouts_total", "orders", "shop.py:41 sell"] == 9


def test_a_report_of_an_older_poolwatch_still_counts() -> None:
    """A site without ``leases``, as earlier versions wrote it, has none out."""
    older = report()
    del older["sites"][0]["leases"]
    assert schema.problem(older) is None
    found = numbers(list(families(merge([older, report()]))))
    assert found["poolwatch_site_leases", "orders", "shop.py:41 sell"] == 2


def nasty() -> Json:
    """Give a report whose names hold everything that a format could stumble over."""
    site = replace(SITE, site=Site('a "\\\n\udcff.py', 1, "<lambda>"))
    return report(replace(SNAPSHOT, pools=(replace(POOL, name='o\n"\\'),), sites=(site,)))


@pytest.mark.parametrize("given", [report(), nasty()], ids=["plain", "nasty"])
def test_our_text_format_is_that_of_the_client(given: Json) -> None:
    """What we write for speed is read as what ``prometheus_client`` writes."""
    ours, theirs = encode(given).decode(), generate_latest(Collector(lambda: given)).decode()
    assert list(parse(ours)) == list(parse(theirs))


@pytest.mark.parametrize("given", [report(), nasty()], ids=["plain", "nasty"])
def test_our_openmetrics_is_that_of_the_client(given: Json) -> None:
    """The same holds for OpenMetrics."""
    ours, theirs = encode_openmetrics(given).decode(), openmetrics(Collector(lambda: given)).decode()  # type: ignore[no-untyped-call]
    assert list(parse_openmetrics(ours)) == list(parse_openmetrics(theirs))  # type: ignore[no-untyped-call]


def test_metrics_need_no_evidence() -> None:
    """What a scrape is computed from gives what the whole report gives, and has nothing that only people read."""
    small = SNAPSHOT.numbers()
    assert encode(small) == encode(SNAPSHOT.to_json())
    assert small["leases"] == []
    assert [sorted(finding) for finding in small["findings"]] == [["grade", "kind", "pool", "state"]]


def test_openmetrics_is_valid() -> None:
    """The default registry may be scraped as OpenMetrics, whose parser refuses families that clash."""
    text = openmetrics(Collector(nasty)).decode()  # type: ignore[no-untyped-call]
    assert len(list(parse_openmetrics(text))) == len(NAMES)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("given", [report(), from_outside(), nasty()], ids=["plain", "outside", "nasty"])
def test_promtool_has_no_complaint(given: Json) -> None:
    """Prometheus' own checker finds nothing to say."""
    done = subprocess.run(["promtool", "check", "metrics"], input=encode(given), capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_report_that_cannot_be_read_gives_nothing() -> None:
    """A scrape of the host's registry survives our failure, and the next one tells of it."""
    answers: list[Json | None] = [None, {}, report()]

    def read() -> Json:
        answer = answers.pop(0)
        if answer is None:
            raise RuntimeError("no report")
        return answer

    collector = Collector(read)
    assert (collector.collect(), collector.collect(), collector.failed) == ([], [], 2)
    assert numbers(collector.collect())["poolwatch_dropped_total", "scrapes"] == 2


def test_registering_takes_no_name_from_the_host() -> None:
    """A metric of the host that has one of our names can still be registered."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Collector(report))
    Gauge("poolwatch_findings", "the host's own", registry=registry)
    assert b"db_client_connection_max" in generate_latest(registry)


def test_importing_poolwatch_leaves_prometheus_out() -> None:
    """A host that does not scrape does not pay for the client."""
    code = "import poolwatch, sys; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
