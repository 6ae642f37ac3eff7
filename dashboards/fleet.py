"""Fleet: all processes, who owns leases in them, and how poolwatch itself fares."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import (
    CHOSEN,
    OWN,
    PROCESS,
    Panel,
    beside,
    dashboard,
    graph,
    linked,
    listing,
    number,
    reference,
    runbook,
)


def build() -> Dashboard:
    """Build the dashboard."""
    return dashboard(
        "poolwatch-fleet",
        "poolwatch: Fleet",
        "Instances, owners of leases, connections shared by mistake, capacity, and poolwatch's own health.",
        {
            "Now": _now(),
            "Owners and users": _owners(),
            "Capacity": _capacity(),
            "Instances and processes": _instances(),
            "poolwatch itself": _health(),
        },
    )


def _now() -> list[Panel]:
    down = f"sum(up{{{PROCESS}}} == bool 0 and on (job, instance) last_over_time(poolwatch_build_info[1d]))"
    crossings = f'sum(poolwatch_findings{{{OWN}, kind=~"crossing[.].+"}})'
    errors = f"sum(poolwatch_hook_errors_total{{{PROCESS}}})"
    return [
        number(
            "Instances",
            "Instances that give poolwatch's metrics.",
            "short",
            (f"count(count by (job, instance) (poolwatch_build_info{{{PROCESS}}}))", "instances"),
        ),
        number(
            "Instances down",
            "Instances that gave metrics within a day and cannot be scraped now.",
            "short",
            (down, "down"),
            warn=1,
            alarm=1,
        ),
        number(
            "Crossings",
            "Connections, sessions or clients with two users: open findings.",
            "short",
            (crossings, "crossings"),
            warn=1,
            alarm=1,
        ),
        number(
            "Errors of hooks",
            "Errors inside poolwatch since the processes began. A hook that fails is taken out.",
            "short",
            (errors, "errors"),
            warn=1,
            alarm=10,
        ),
    ]


def _owners() -> list[Panel]:
    crossings = f'sum by (kind, pool) (poolwatch_findings{{{OWN}, kind=~"crossing[.].+"}}) > 0'
    return [
        graph(
            "Leases by owner",
            "Leases out, by what took them: threads, tasks or greenlets.",
            "short",
            (f"sum by (owner) (poolwatch_leases{{{OWN}}})", "{{owner}}"),
            stacked=True,
        ),
        graph(
            "Hand-offs",
            "Leases that were used in good order by another than their owner, a second. Normal where a "
            "framework moves requests between threads.",
            "ops",
            (f"sum by (job, pool) (rate(poolwatch_hand_offs_total{{{OWN}}}[$__rate_interval]))", "{{pool}} of {{job}}"),
        ),
        linked(
            graph(
                "Crossings",
                "Open findings of connections with two users, by kind.",
                "short",
                (crossings, "{{kind}} {{pool}}"),
                stacked=True,
            ),
            runbook("PoolwatchCrossing"),
            reference(),
            beside("All findings", "poolwatch-leaks"),
        ),
        graph(
            "Sockets without a pool",
            "Open findings of sockets to a database that no pool accounts for.",
            "short",
            (
                f'sum by (instance, pool) (poolwatch_findings{{{OWN}, kind="orphan.socket"}}) > 0',
                "{{pool}} in {{instance}}",
            ),
        ),
    ]


def _capacity() -> list[Panel]:
    told = "max by (server)"
    return [
        graph(
            "Capacity by service",
            "Connections that all instances of a service may open together, and those that are open.",
            "short",
            (f"sum by (job) (db_client_connection_max{{{CHOSEN}}})", "allowed {{job}}"),
            (f"sum by (job) (db_client_connection_count{{{CHOSEN}}})", "open {{job}}"),
        ),
        graph(
            "Capacity of the database server",
            "What the server allows and has, and what all pools may open there together. Above what is allowed, "
            "clients will be refused. The agent asks the servers that --server names.",
            "short",
            (f"{told} (poolwatch_server_max_connections{{{PROCESS}}})", "allowed by {{server}}"),
            (f"{told} (poolwatch_server_pool_limit{{{PROCESS}}})", "pools may open on {{server}}"),
            (f"{told} (poolwatch_server_connections{{{PROCESS}}})", "open on {{server}}"),
        ),
        graph(
            "Sessions from elsewhere",
            "Sessions of the database server that belong to no pool of the processes that the agent knows.",
            "short",
            (f"{told} (poolwatch_server_sessions_elsewhere{{{PROCESS}}})", "{{server}}"),
        ),
        graph(
            "Database server answers",
            "1 where the server answers the agent, 0 where it does not.",
            "short",
            (f"min by (server) (poolwatch_server_up{{{PROCESS}}})", "{{server}}"),
        ),
    ]


def _instances() -> list[Panel]:
    return [
        listing(
            "Versions",
            "Which version of poolwatch rides in which Python.",
            "short",
            f"count by (job, instance, version, python) (poolwatch_build_info{{{PROCESS}}})",
            ["instance", "job", "version", "python"],
        ),
        listing(
            "Leases by instance",
            "Leases out in each instance.",
            "short",
            f"sum by (job, instance) (poolwatch_leases{{{OWN}}})",
            ["instance", "job"],
            "leases",
        ),
        graph(
            "Processes",
            "Processes that report, that are silent though they live (stuck), and that have ended.",
            "short",
            (f"sum by (job, state) (poolwatch_processes{{{PROCESS}}})", "{{state}} of {{job}}"),
        ),
        graph(
            "Leases by process",
            "Leases out in each process of an instance, by the slot that the process has.",
            "short",
            (f"sum by (instance, process) (poolwatch_process_leases{{{PROCESS}}})", "{{process}} in {{instance}}"),
            stacked=True,
        ),
    ]


def _health() -> list[Panel]:
    cpu = graph(
        "CPU of the watcher",
        "Part of one processor that the watcher uses. At zero it does not look.",
        "percentunit",
        (f"rate(poolwatch_watcher_cpu_seconds_total{{{PROCESS}}}[$__rate_interval])", "{{instance}}"),
    )
    dropped = graph(
        "Dropped",
        "What was dropped because a limit was reached, since the start.",
        "short",
        (f"sum by (instance, what) (poolwatch_dropped_total{{{PROCESS}}})", "{{what}} in {{instance}}"),
    )
    alerts = graph(
        "Alerts told",
        "What became of the alerts that poolwatch itself sends, an hour, by sink.",
        "short",
        (f"sum by (sink, outcome) (increase(poolwatch_alerts_total{{{PROCESS}}}[1h]))", "{{outcome}} to {{sink}}"),
    )
    return [
        linked(cpu, runbook("PoolwatchWatcherStuck")),
        graph(
            "Errors of hooks",
            "Errors inside poolwatch's hooks; the program's log has the first of each.",
            "short",
            (f"sum by (instance, hook) (poolwatch_hook_errors_total{{{PROCESS}}})", "{{hook}} in {{instance}}"),
        ),
        linked(dropped, runbook("PoolwatchFindingsDropped")),
        linked(alerts, runbook("PoolwatchAlertsUnsent")),
    ]
