"""Every metric poolwatch gives, in one table: names, type, unit and labels. The docs are generated from it.

Names that OpenTelemetry's semantic conventions have are used as they are there; the rest begins with ``poolwatch``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["gauge", "counter", "histogram", "unknown"]


@dataclass(frozen=True, slots=True)
class Name:
    """One metric. ``unit`` is OpenTelemetry's (``s``, ``{connection}``); labels are Prometheus' label names."""

    prometheus: str
    otel: str
    type: Type
    unit: str
    help: str
    labels: tuple[str, ...] = ()


POOL_NAME = "db_client_connection_pool_name"
STATE = "db_client_connection_state"


def _convention(prometheus: str, type: Type, unit: str, help: str, *labels: str) -> Name:
    """Give a metric of the semantic conventions, which puts ``db.client.connection.`` before the name."""
    short = prometheus.removesuffix("_total").removesuffix("_seconds")
    name = f"db_client_connection_{prometheus}"
    return Name(name, f"db.client.connection.{short.replace('idle_', 'idle.')}", type, unit, help, (POOL_NAME, *labels))


def _own(prometheus: str, type: Type, unit: str, help: str, *labels: str) -> Name:
    short = prometheus.removesuffix("_total").removesuffix("_seconds")
    return Name(f"poolwatch_{prometheus}", f"poolwatch.{short}", type, unit, help, labels)


# A gauge, but Prometheus' linter wants "_count" on histograms only and lets pass what has no declared type.
COUNT = _convention("count", "unknown", "{connection}", "Connections of the pool now, by state (idle or used).", STATE)
IDLE_MAX = _convention("idle_max", "gauge", "{connection}", "Idle connections the pool keeps at most.")
IDLE_MIN = _convention("idle_min", "gauge", "{connection}", "Idle connections the pool keeps at least.")
MAX = _convention("max", "gauge", "{connection}", "Open connections allowed at most; absent where there is no limit.")
PENDING = _convention("pending_requests", "gauge", "{request}", "Callers that wait for a connection now.")
TIMEOUTS = _convention("timeouts_total", "counter", "{timeout}", "Callers that gave up waiting for a connection.")
CREATE_TIME = _convention("create_time_seconds", "histogram", "s", "Time it took to open a connection.")
WAIT_TIME = _convention("wait_time_seconds", "histogram", "s", "Time it took to get a connection from the pool.")
USE_TIME = _convention("use_time_seconds", "histogram", "s", "Time between checkout and checkin.")

FINDINGS = _own("findings", "gauge", "{finding}", "Findings open now.", "kind", "grade", "pool")
# A counter, but OpenMetrics takes "_total" off a counter's name, and two families may not both be "poolwatch_findings".
FINDINGS_TOTAL = Name(
    "poolwatch_findings_total", "poolwatch.findings.total", "unknown", "{finding}",
    "Findings so far, with repeats; only grows.", ("kind", "grade", "pool"),
)  # fmt: skip
LEASES = _own(
    "leases", "gauge", "{lease}", "Leases out now, by what owns them (thread, task, greenlet).", "pool", "owner"
)
PROCESS_LEASES = _own("process_leases", "gauge", "{lease}", "Leases out now, by the process's slot.", "process")
PROCESSES = _own(
    "processes", "gauge", "{process}", "Processes that report (live), are silent though they live (stuck), or ended.",
    "state",
)  # fmt: skip
SERVER_UP = _own("server_up", "gauge", "1", "1 where the database server answers the agent, else 0.", "server")
SERVER_MAX = _own("server_max_connections", "gauge", "{connection}", "Connections the server allows.", "server")
SERVER_CONNECTIONS = _own("server_connections", "gauge", "{connection}", "Connections the server has now.", "server")
SERVER_ELSEWHERE = _own(
    "server_sessions_elsewhere", "gauge", "{session}", "Sessions by TCP that belong to no pool of these processes.",
    "server",
)  # fmt: skip
SERVER_POOL_LIMIT = _own(
    "server_pool_limit", "gauge", "{connection}", "Connections all pools may open there together.", "server"
)
OLDEST_LEASE = _own("oldest_lease_seconds", "gauge", "s", "Age of the oldest lease that is out.", "pool")
HAND_OFFS = _own(
    "hand_offs_total", "counter", "{hand_off}", "Leases used by another than their owner, orderly.", "pool"
)
SITE_CHECKOUTS = _own(
    "site_checkouts_total", "counter", "{lease}", "Leases taken at a site that have come back.", "pool", "site"
)
SITE_USE = _own("site_use_seconds_total", "counter", "s", "Time leases taken at a site were out.", "pool", "site")
SITE_BUSY = _own(
    "site_busy_seconds_total", "counter", "s", "Time leases taken at a site ran statements.", "pool", "site"
)
SITE_LEASES = _own("site_leases", "gauge", "{lease}", "Leases taken at a site that are out now.", "pool", "site")
SCOPE_LEASES = _own("scope_leases_total", "counter", "{lease}", "Leases that ended flows of a name took.", "scope")
SCOPE_WAIT = _own("scope_wait_seconds_total", "counter", "s", "Time ended flows of a name waited for pools.", "scope")
SCOPE_USE = _own("scope_use_seconds_total", "counter", "s", "Time leases of ended flows of a name were out.", "scope")
SCOPE_BUSY = _own("scope_busy_seconds_total", "counter", "s", "Time leases of ended flows ran statements.", "scope")
HOOK_ERRORS = _own("hook_errors_total", "counter", "{error}", "Errors inside poolwatch's hooks.", "hook")
DROPPED = _own("dropped_total", "counter", "{item}", "What was dropped because a limit was reached.", "what")
ALERTS = _own(
    "alerts_total", "counter", "{alert}", "Alerts sent or dropped, and attempts that failed.", "sink", "outcome"
)
WATCHER_CPU = _own("watcher_cpu_seconds_total", "counter", "s", "CPU time that the watcher itself has used.")
BUILD_INFO = _own("build_info", "gauge", "{build}", "Always 1; the versions are in the labels.", "version", "python")

NAMES: tuple[Name, ...] = (
    COUNT, IDLE_MAX, IDLE_MIN, MAX, PENDING, TIMEOUTS, CREATE_TIME, WAIT_TIME, USE_TIME,
    FINDINGS, FINDINGS_TOTAL, LEASES, PROCESS_LEASES, OLDEST_LEASE, HAND_OFFS, SITE_CHECKOUTS, SITE_USE, SITE_BUSY,
    SITE_LEASES, SCOPE_LEASES, SCOPE_WAIT, SCOPE_USE, SCOPE_BUSY, HOOK_ERRORS, DROPPED, ALERTS, WATCHER_CPU, BUILD_INFO,
    PROCESSES, SERVER_UP, SERVER_MAX, SERVER_CONNECTIONS, SERVER_ELSEWHERE, SERVER_POOL_LIMIT,
)  # fmt: skip
"""Every metric, in the order in which it is given and documented."""
