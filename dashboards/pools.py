"""Pools: which one is running dry, and how fast?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    BY_POOL,
    CHOSEN,
    FLOW,
    POOL,
    POOL_LEGEND,
    Panel,
    beside,
    dashboard,
    graph,
    linked,
    number,
    quantiles,
    runbook,
    spread,
    to_sites,
)

LENT = f'db_client_connection_count{{{CHOSEN}, db_client_connection_state="used"}}'
USED = f"sum by ({BY_POOL}) ({LENT})"
IDLE = f'sum by ({BY_POOL}) (db_client_connection_count{{{CHOSEN}, db_client_connection_state="idle"}})'
LIMIT = f"sum by ({BY_POOL}) (db_client_connection_max{{{CHOSEN}}})"
FLOOR = f"sum by ({BY_POOL}) (min_over_time({LENT}[15m]))"
RISE = f"sum by ({BY_POOL}) (min_over_time({LENT}[15m]) - min_over_time({LENT}[15m] offset 45m)) / 2700"
DRY_IN = f"({LIMIT} - {FLOOR}) / ({RISE} > 0)"
WEEK = 7 * 24 * 3600


def build() -> Dashboard:
    """Build the dashboard."""
    return dashboard(
        "poolwatch-pools",
        "poolwatch: Pools",
        "Connections used, idle and allowed, who waits, and for how long.",
        {"Now": _now(), "Connections": _connections(), "Waiting": _waiting(), "Using and opening": _using()},
    )


def _now() -> list[Panel]:
    pending = f"sum(db_client_connection_pending_requests{{{CHOSEN}}})"
    timeouts = f"sum(increase(db_client_connection_timeouts_total{{{CHOSEN}}}[$__range]))"
    return [
        number(
            "Fullest pool",
            "Connections in use, of those allowed, in the fullest of the chosen pools.",
            "percentunit",
            (f"max({USED} / {LIMIT})", "used"),
            warn=0.8,
            alarm=0.95,
        ),
        number(
            "Callers waiting", "Callers that wait for a connection now.", "short", (pending, "waiting"), warn=1, alarm=5
        ),
        number(
            "Timeouts",
            "Callers that gave up waiting, in the time shown.",
            "short",
            (timeouts, "timeouts"),
            warn=1,
            alarm=1,
        ),
        number(
            "First pool dry in",
            "Time until the first pool is full if its floor goes on rising as in the last hour. "
            "A week is the most that is shown, and means that no pool fills up.",
            "s",
            (f"clamp_max(min({DRY_IN}), {WEEK}) or vector({WEEK})", "dry in"),
            warn=14400,
            alarm=3600,
        ),
    ]


def _connections() -> list[Panel]:
    used = graph(
        "Used and idle",
        "Connections lent and connections at rest.",
        "short",
        (USED, f"used {POOL_LEGEND}"),
        (IDLE, f"idle {POOL_LEGEND}"),
    )
    full = graph(
        "Part of the limit",
        "Connections in use, of those allowed: at 1 the next caller waits. Pools without a limit are absent.",
        "percentunit",
        (f"{USED} / {LIMIT}", POOL_LEGEND),
    )
    room = graph("Headroom", "Connections that could still be lent.", "short", (f"{LIMIT} - {USED}", POOL_LEGEND))
    dry = graph(
        "Time to exhaustion",
        "Time until the pool is full, if its floor (the fewest connections in use within 15 minutes) goes on rising as "
        "in the last hour. Only pools that fill up are shown.",
        "s",
        (DRY_IN, POOL_LEGEND),
    )
    return [
        linked(to_sites(used, POOL), beside("Who holds them", "poolwatch-leaks")),
        linked(to_sites(full, POOL), runbook("PoolwatchPoolExhausted")),
        linked(to_sites(room, POOL), runbook("PoolwatchPoolDrySoon")),
        linked(to_sites(dry, POOL), runbook("PoolwatchPoolDrySoon")),
        graph(
            "Limits",
            "Open connections allowed at most, and idle ones kept at most and at least.",
            "short",
            (LIMIT, f"allowed {POOL_LEGEND}"),
            (f"sum by ({BY_POOL}) (db_client_connection_idle_max{{{CHOSEN}}})", f"idle at most {POOL_LEGEND}"),
            (f"sum by ({BY_POOL}) (db_client_connection_idle_min{{{CHOSEN}}})", f"idle at least {POOL_LEGEND}"),
        ),
    ]


def _waiting() -> list[Panel]:
    wait = "db_client_connection_wait_time_seconds"
    timeouts = f"sum by ({BY_POOL}) (rate(db_client_connection_timeouts_total{{{CHOSEN}}}[$__rate_interval]))"
    waited = f"sum by (scope) (rate(poolwatch_scope_wait_seconds_total{{{FLOW}}}[$__rate_interval]))"
    waiting = graph(
        "Callers waiting",
        "Callers that wait for a connection. Short peaks on a busy pool are normal.",
        "short",
        (f"sum by ({BY_POOL}) (db_client_connection_pending_requests{{{CHOSEN}}})", POOL_LEGEND),
    )
    gave_up = graph("Timeouts", "Callers that gave up waiting, a second.", "reqps", (timeouts, POOL_LEGEND))
    return [
        linked(to_sites(waiting, POOL), runbook("PoolwatchWaiters")),
        linked(to_sites(gave_up, POOL), runbook("PoolwatchTimeouts")),
        graph("Wait time", "How long it took to get a connection; points lead to traces.", "s", *quantiles(wait)),
        spread("Wait time, all of it", "How many callers waited how long.", _buckets(wait)),
        graph(
            "Waiting by scope",
            "Flows (requests, jobs) that waited for a connection, on average, by their name: the ten that waited most.",
            "short",
            (f"topk(10, {waited})", "{{scope}}"),
            stacked=True,
        ),
    ]


def _using() -> list[Panel]:
    use, create = "db_client_connection_use_time_seconds", "db_client_connection_create_time_seconds"
    opened = f"sum by ({BY_POOL}) (rate({create}_count{{{CHOSEN}}}[$__rate_interval]))"
    return [
        graph(
            "Use time",
            "How long a connection was out, from checkout to checkin; points lead to traces.",
            "s",
            *quantiles(use),
        ),
        spread(
            "Use time, all of it",
            "How many leases lasted how long. Leases that are still out are not in it.",
            _buckets(use),
        ),
        graph(
            "Connections opened",
            "New connections a second. Many, while traffic is even, mean that the pool is too "
            "small or that connections break.",
            "ops",
            (opened, POOL_LEGEND),
        ),
        graph("Time to open", "How long it took to open a connection.", "s", *quantiles(create)),
    ]


def _buckets(metric: str) -> str:
    return f"sum by (le) (increase({metric}_bucket{{{CHOSEN}}}[$__rate_interval]))"
