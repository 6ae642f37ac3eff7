"""Connections and Sessions used by somebody who must not use them."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import lease_facts, owners, sentence
from poolwatch.model import Finding, Incident, Snapshot

_HINTS = {
    "concurrent": "A connection serves one thread or task at a time: give each its own from the pool.",
    "interleaved": "Two threads or tasks take turns on one connection: give each its own, or hand it over for good.",
    "session": "A Session is for one thread or task: make one per unit of work, or use scoped_session and remove().",
    "process": "Call engine.dispose(close=False) first thing in the child (os.register_at_fork, worker init), or use "
    "NullPool.",
    "loop": "An async pool belongs to one event loop: dispose() it before the loop ends, or make one per loop.",
    "transport": "A connected client serves one thread, task or loop: make one per thread or per request.",
    "route": "The child did not inherit its parent's route: start it through poolwatch.inherit or set the route in it.",
    "flow": "Two flows of work use one connection: each must take its own.",
}
_LIBRARY_HINTS = {
    ("psycopg_pool", "process"): "Open the pool in the child (post_fork, worker init), never before the fork: the "
    "threads that maintain it exist only in the parent, and its sockets are the parent's.",
    ("psycopg_pool", "loop"): "Open the pool on the loop that uses it (`async with pool:` inside asyncio.run, or the "
    "lifespan of the application) and close it there: elsewhere it can lend what is idle, but not grow.",
    ("psycopg_pool", "interleaved"): "One works inside the transaction of the other: give each its own connection.",
    ("asyncpg", "process"): "Create the pool in the child, never before the fork: its sockets are the parent's.",
    ("asyncpg", "loop"): "Create the pool or connection on the loop that uses it, and close it there.",
    ("asyncpg", "concurrent"): "A connection runs one operation at a time; the second one fails with 'another "
    "operation is in progress'. Let each task acquire its own from the pool.",
}
_ALWAYS_PROVED = {"process", "loop", "transport", "route", "flow"}


def met(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Somebody touched what another holds: proved where they overlapped, else suspected."""
    for incident in snapshot.incidents:
        proved = incident.overlap or incident.kind in _ALWAYS_PROVED
        yield Finding(
            kind=f"crossing.{incident.kind}",
            grade="proved" if proved else "suspected",
            pool=incident.pool,
            library=incident.library,
            summary=_summary(incident),
            hint=_LIBRARY_HINTS.get((incident.library, incident.kind), _HINTS[incident.kind]),
            site=incident.site,
            owners=owners(incident.victim, incident.culprit),
            stacks={"checkout": incident.victim_stack, "last_use": incident.culprit_stack},
            lease=lease_facts(snapshot, incident.lease) if incident.lease else {},
            first_seen=incident.at,
            last_seen=incident.at,
        )


def _summary(incident: Incident) -> str:
    detail = f" ({incident.detail})" if incident.detail else ""
    if incident.kind == "route":
        return f"{sentence(incident.victim)} took a connection of the wrong database: {incident.detail}."
    if incident.victim.key == incident.culprit.key:
        return f"{sentence(incident.culprit)} uses a connection that is not its own{detail}."
    if incident.kind == "process":
        return f"{sentence(incident.culprit)} uses a connection of its parent process{detail}."
    how = "while" if incident.overlap else "in turns, after"
    return f"{sentence(incident.culprit)} used a connection {how} {incident.victim} was using it{detail}."
