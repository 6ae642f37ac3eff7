"""What is said of a lease and of a finding, by OpenTelemetry's semantic conventions where they have a word for it."""

from __future__ import annotations

from typing import Any

from poolwatch.ledger import Pool
from poolwatch.model import Finding, Site
from poolwatch.senses import stack
from poolwatch.senses.actors import Actor

Attributes = dict[str, str | bool | int | float]
POOL_NAME = "db.client.connection.pool.name"
_SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
"""SQLAlchemy's name of a database to the conventions', where it is not the same."""


def of_place(pool: Pool, code: Any, offset: int) -> Attributes:
    """Describe a pool and the line that uses it; ``code`` may be None."""
    place: Attributes = {POOL_NAME: pool.name}
    if pool.system:
        place["db.system.name"] = _SYSTEMS.get(pool.system, pool.system)
    return place if code is None else place | _of_site(stack.site(code, offset))


def of_owner(owner: Actor) -> Attributes:
    """Describe who took a lease."""
    who: Attributes = {"thread.id": owner.thread_id, "thread.name": owner.thread.rename()}
    if owner.kind != "thread":
        who[f"poolwatch.{owner.kind}"] = owner.name
    return who


def of_finding(finding: Finding) -> Attributes:
    """Describe a finding."""
    facts: Attributes = {
        "poolwatch.finding.id": finding.id,
        "poolwatch.finding.kind": finding.kind,
        "poolwatch.finding.grade": finding.grade,
        "poolwatch.finding.summary": finding.summary,
        "poolwatch.finding.hint": finding.hint,
        POOL_NAME: finding.pool,
    }
    return facts if finding.site is None else facts | _of_site(finding.site)


def _of_site(site: Site) -> Attributes:
    return {"code.function.name": site.function, "code.file.path": site.file, "code.line.number": site.line}
