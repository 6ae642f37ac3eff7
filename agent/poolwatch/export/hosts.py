"""Metrics of what only somebody outside knows: which processes live, and what database servers allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from poolwatch.export import names
from poolwatch.export.names import Name
from poolwatch.model import Json

STATES = ("live", "stuck", "ended")
_Values = Iterable[tuple[tuple[str, ...], float]]
_FACTS = (
    (names.SERVER_MAX, "max_connections"),
    (names.SERVER_CONNECTIONS, "connections"),
    (names.SERVER_ELSEWHERE, "sessions_elsewhere"),
    (names.SERVER_POOL_LIMIT, "pool_limit"),
)


def series(report: Json) -> Iterator[tuple[Name, _Values]]:
    """Give the processes by state, and what is known of each server; without servers their metrics are empty."""
    yield names.PROCESSES, _processes(report["processes"])
    servers = report.get("servers", ())
    yield names.SERVER_UP, [((server["name"],), float(server["error"] is None)) for server in servers]
    for name, fact in _FACTS:
        yield name, [((server["name"],), server[fact]) for server in servers if server.get(fact) is not None]


def _processes(processes: Iterable[Json]) -> _Values:
    states = Counter(dict.fromkeys(STATES, 0))
    for process in processes:
        if process["ended_at"] is None:
            states["stuck" if "silent_seconds" in process else "live"] += 1
        else:
            states["ended"] += process.get("processes_ended", 1)
    return [((state,), count) for state, count in states.items()]
