"""How many time series an agent gives, worked out from the table of metrics. ``bench.spools`` counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from poolwatch.collecting.carried import MAX_SLOTS
from poolwatch.export.hosts import STATES
from poolwatch.export.names import NAMES, POOL_NAME, STATE, Name
from poolwatch.export.numbers import MAX_SITES, OWNER_KINDS
from poolwatch.export.scopes import MAX_SCOPES
from poolwatch.ledger.records import BOUNDS


@dataclass(frozen=True, slots=True)
class Shape:
    """What one agent has before it: how many of each, over all its processes.

    ``sites`` are counted for each pool that they take from; ``findings`` are kinds with grade and pool, however often.
    """

    pools: int = 0
    processes: int = 0
    sites: int = 0
    scopes: int = 0
    findings: int = 0
    servers: int = 0
    """Those that the agent asks, by ``--server``."""
    sinks: int = 0
    """Sinks of alerts with an outcome that has happened: three at most for each sink."""
    losses: int = 0
    """Hooks that failed and limits that were reached: none where all is well."""
    builds: int = 1
    """Versions of poolwatch and Python that run at one time, that of the agent among them."""


_SERIES: dict[tuple[str, ...], Callable[[Shape], int]] = {
    (): lambda shape: 1,
    (POOL_NAME,): lambda shape: shape.pools,
    (POOL_NAME, STATE): lambda shape: shape.pools * 2,
    ("pool",): lambda shape: shape.pools,
    ("pool", "owner"): lambda shape: shape.pools * len(OWNER_KINDS),
    ("pool", "site"): lambda shape: min(shape.sites, MAX_SITES + shape.pools),  # beyond: one "other" for each pool
    ("scope",): lambda shape: min(shape.scopes, MAX_SCOPES + 1),
    ("process",): lambda shape: min(shape.processes, MAX_SLOTS + 1),
    ("state",): lambda shape: len(STATES),
    ("kind", "grade", "pool"): lambda shape: shape.findings,
    ("server",): lambda shape: shape.servers,
    ("sink", "outcome"): lambda shape: shape.sinks,
    ("hook",): lambda shape: shape.losses,
    ("what",): lambda shape: shape.losses,
    ("version", "python"): lambda shape: shape.builds,
}
"""Series of a metric by its labels. A metric with other labels is a KeyError here: think of how many it has."""


def of(name: Name, shape: Shape) -> int:
    """Give the series of one metric; a histogram has its buckets, a sum and a count."""
    return _SERIES[name.labels](shape) * (len(BOUNDS) + 1 + 2 if name.type == "histogram" else 1)


def total(shape: Shape) -> int:
    """Give the series of one agent. What has no limit has no ``max``: a pool without one has up to two less."""
    return sum(of(name, shape) for name in NAMES)


def table() -> str:
    """Give, as Markdown, what each thing that an agent sees costs in series, and where that ends."""
    least = Shape()
    rows = [("an agent by itself", total(least), "")]
    for what, field, limit in (
        ("pool", "pools", "none: one for each name, however many processes have it"),
        ("process", "processes", f"{MAX_SLOTS + 1} processes an agent"),
        ("site", "sites", f"{MAX_SITES} sites an agent, then one `other` for each pool"),
        ("scope", "scopes", f"{MAX_SCOPES + 1} scopes an agent"),
        ("kind of finding, with grade and pool", "findings", "none: it comes with the first such finding"),
        ("server that is asked by `--server`", "servers", "none"),
        ("sink of alerts with an outcome", "sinks", "3 outcomes a sink"),
        ("further version of poolwatch or Python", "builds", "none"),
    ):
        rows.append((f"each {what}", total(replace(least, **{field: getattr(least, field) + 1})) - total(least), limit))
    lines = [("what", "series", "limit"), ("---", "---", "---"), *rows]
    return "".join(f"| {what} | {count} | {limit} |\n" for what, count, limit in lines)
