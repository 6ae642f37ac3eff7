"""Connections and Sessions used by somebody who must not use them."""

from __future__ import annotations

from collections.abc import Iterator

from poolwatch.config import Config
from poolwatch.detectors.facts import lease_facts, owners, sentence
from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Incident, Snapshot

_ALWAYS_PROVED = {"loop", "transport", "route", "flow"}


def met(snapshot: Snapshot, config: Config) -> Iterator[Finding]:
    """Somebody touched what another holds: proved where they overlapped, else suspected."""
    for incident in snapshot.incidents:
        kind = f"crossing.{incident.kind}"
        proved = incident.overlap or incident.kind in _ALWAYS_PROVED
        yield Finding(
            kind=kind,
            grade="proved" if proved else "suspected",
            pool=incident.pool,
            library=incident.library,
            summary=_summary(incident),
            hint=hint(kind, incident.library),
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
        what = "uses" if incident.overlap or incident.kind != "process" else "closes"
        return f"{sentence(incident.culprit)} {what} a connection that is not its own{detail}."
    if incident.kind == "process":
        return f"{sentence(incident.culprit)} uses a connection of its parent process{detail}."
    how = "while" if incident.overlap else "in turns, after"
    return f"{sentence(incident.culprit)} used a connection {how} {incident.victim} was using it{detail}."
