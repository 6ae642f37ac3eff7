"""Leaks: who holds the connections, and since when?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    BY_POOL,
    CHOSEN,
    FLOW,
    OWN,
    POOL,
    POOL_LEGEND,
    SITES_ID,
    WHOLE,
    Panel,
    beside,
    dashboard,
    graph,
    linked,
    listing,
    number,
    reference,
    runbook,
    to_sites,
)

HELD = f"rate(poolwatch_site_use_seconds_total{{{OWN}}}[$__rate_interval])"
BUSY = f"rate(poolwatch_site_busy_seconds_total{{{OWN}}}[$__rate_interval])"
SITE_LEGEND = "{{pool}} {{site}}"


def build() -> Dashboard:
    """Build the dashboard."""
    return dashboard(
        "poolwatch-leaks",
        "poolwatch: Leaks",
        "Open findings, the oldest leases and the sites that hold connections; vertical lines are deploys and alerts.",
        {"Now": _now(), "Findings": _findings(), "Leases": _leases(), "Sites": _sites(), "Scopes": _scopes()},
    )


def _now() -> list[Panel]:
    return [
        _open("Proved", "proved", "It cannot be otherwise.", warn=1, alarm=1),
        _open("Probable", "probable", "Strong evidence.", warn=1, alarm=10),
        _open("Suspected", "suspected", "A threshold was passed: look at it.", warn=1, alarm=100),
        number(
            "Oldest lease",
            "Age of the oldest lease that is out.",
            "s",
            (f"max(poolwatch_oldest_lease_seconds{{{OWN}}})", "age"),
            warn=60,
            alarm=900,
        ),
    ]


def _open(title: str, grade: str, meaning: str, warn: float, alarm: float) -> Panel:
    query = f'sum(poolwatch_findings{{{OWN}, grade="{grade}"}})'
    return number(title, f"Findings open now, {grade}. {meaning}", "short", (query, grade), warn=warn, alarm=alarm)


def _findings() -> list[Panel]:
    kinds = "sum by (kind, grade) "
    seen = f"{kinds}(poolwatch_findings_total{{{OWN}}})"
    open_now = f"sum by (job, instance, pool, kind, grade) (poolwatch_findings{{{OWN}}}) > 0"
    return [
        linked(
            graph(
                "Open findings",
                "Findings open, by kind and grade. Lines of blue are deploys and restarts: a step up right after one "
                "names its cause.",
                "short",
                (f"{kinds}(poolwatch_findings{{{OWN}}}) > 0", "{{kind}} {{grade}}"),
                stacked=True,
            ),
            runbook("PoolwatchLeakProved"),
            reference(),
        ),
        linked(
            graph(
                "Findings so far",
                "Findings and their repeats since the processes began: each step is a new one.",
                "short",
                (seen, "{{kind}} {{grade}}"),
                stacked=True,
            ),
            reference(),
        ),
        listing(
            "Open now",
            "What is open where. The instance leads to the process' own report: site, stacks, owner "
            "and what keeps the connection.",
            "short",
            open_now,
            ["kind", "grade", "pool", "job", "instance"],
            "open",
        ),
    ]


def _leases() -> list[Panel]:
    floor = (
        f"sum by ({BY_POOL}) "
        f'(min_over_time(db_client_connection_count{{{CHOSEN}, db_client_connection_state="used"}}[15m]))'
    )
    oldest = graph(
        "Oldest lease",
        "Age of the oldest lease that is out. A straight line up is one that does not come back.",
        "s",
        (f"max by (instance, pool) (poolwatch_oldest_lease_seconds{{{OWN}}})", "{{pool}} in {{instance}}"),
    )
    lowest = graph(
        "Floor of use",
        "The fewest connections in use within 15 minutes. Bursts fall out of it; a leak makes it rise and never fall.",
        "short",
        (floor, POOL_LEGEND),
    )
    return [
        linked(to_sites(oldest), runbook("PoolwatchLeaseOverdue")),
        linked(to_sites(lowest, POOL), runbook("PoolwatchPoolDrySoon"), beside("The pools", "poolwatch-pools")),
    ]


def _sites() -> list[Panel]:
    taken = f"sum by (pool, site) (rate(poolwatch_site_checkouts_total{{{OWN}}}[$__rate_interval]))"
    out = f"sum by (pool, site) (poolwatch_site_leases{{{OWN}}})"
    return [
        graph(
            "Leases out now by line",
            "Leases that are out, of the ten lines that have most. One that rises and never falls leaks.",
            "short",
            (f"topk(10, {out} > 0)", SITE_LEGEND),
            stacked=True,
        ).span(WHOLE),
        graph(
            "Connections held by site",
            "Connections that each of the ten costliest sites held on average. A lease counts when it has come back: "
            "what is still out is above.",
            "short",
            (f"topk(10, sum by (pool, site) ({HELD}))", SITE_LEGEND),
            stacked=True,
        ),
        graph(
            "Held without use, by site",
            "Of those, the connections that ran no statement meanwhile.",
            "short",
            (f"topk(10, sum by (pool, site) ({HELD}) - sum by (pool, site) ({BUSY}))", SITE_LEGEND),
            stacked=True,
        ),
        graph(
            "Checkouts by site",
            "Leases that the ten busiest sites took, a second.",
            "ops",
            (f"topk(10, {taken})", SITE_LEGEND),
        ),
        graph(
            "Use by site",
            "Time for which a lease of a site is out, on average: the ten longest.",
            "s",
            (f"topk(10, sum by (pool, site) ({HELD}) / ({taken} > 0))", SITE_LEGEND),
        ),
        _site_table(),
    ]


def _site_table() -> Panel:
    held = f"sum by (job, pool, site) (increase(poolwatch_site_use_seconds_total{{{OWN}}}[$__range]))"
    busy = f"sum by (job, pool, site) (increase(poolwatch_site_busy_seconds_total{{{OWN}}}[$__range]))"
    return listing(
        "Sites",
        "Time in which a site held connections without using them, in the time shown; the worst twenty. "
        "A lease counts when it has come back.",
        "s",
        f"topk(20, {held} - {busy})",
        ["site", "pool", "job"],
        "held without use",
    ).id(SITES_ID)


def _scopes() -> list[Panel]:
    held, busy, taken = (
        f"sum by (scope) (rate(poolwatch_scope_{what}_total{{{FLOW}}}[$__rate_interval]))"
        for what in ("use_seconds", "busy_seconds", "leases")
    )
    return [
        graph(
            "Connections held by scope",
            "Connections that ended flows (requests, jobs) of the ten costliest names held on average.",
            "short",
            (f"topk(10, {held})", "{{scope}}"),
            stacked=True,
        ),
        graph(
            "Held without use, by scope",
            "Of those, the connections that ran no statement meanwhile.",
            "short",
            (f"topk(10, {held} - {busy})", "{{scope}}"),
            stacked=True,
        ),
        graph(
            "Leases by scope",
            "Leases that flows of a name took, a second.",
            "ops",
            (f"topk(10, {taken})", "{{scope}}"),
        ),
    ]
