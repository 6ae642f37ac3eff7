"""What was found over several processes: opened once, counted once, and resolved when it is no longer so.

Several may read one folder and look for different things, so each resolves only what it has looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from poolwatch.model import Json
from poolwatch.report.merge import finding_key

_MOST = 100
"""Kept of those that are resolved, the latest."""
_NOTED = 60.0
"""Seconds between two notes that a finding is still so: what is noted is written to the folder."""
_FORGOTTEN = 300.0
"""Seconds without a note, after which nobody looks for it any more."""


def updated(
    standing: Iterable[Json], found: Iterable[Json], looked_for: Callable[[Json], bool], now: float
) -> list[Json]:
    """Give ``standing`` with what was found ``now`` (Unix time) in it.

    Open ones that were ``looked_for`` and not found are resolved.
    """
    fresh: dict[Hashable, Json] = {finding_key(one): one for one in (_opened(one, now) for one in found)}
    after = [_again(one, fresh, looked_for, now) if one["state"] == "open" else one for one in standing]
    still = [one for one in after if one["state"] == "open"]
    known = {finding_key(one) for one in still}
    new = [one for key, one in fresh.items() if key not in known]
    return [*[one for one in after if one["state"] == "resolved"][-_MOST:], *still, *new]


def opened(before: Iterable[Json], after: Iterable[Json]) -> list[Json]:
    """Give those of ``after`` that are not in ``before``."""
    ids = {one["id"] for one in before}
    return [one for one in after if one["id"] not in ids]


def _again(one: Json, fresh: dict[Hashable, Json], looked_for: Callable[[Json], bool], now: float) -> Json:
    seen = fresh.get(finding_key(one))
    if seen is not None:
        noted = {"last_seen": now} if now - one["last_seen"] > _NOTED else {}
        return {**one, "summary": seen["summary"], "lease": seen["lease"], **noted}
    if looked_for(one):
        return {**one, "state": "resolved", "resolution": "no longer so", "last_seen": now}
    if now - one["last_seen"] > _FORGOTTEN:
        return {**one, "state": "resolved", "resolution": "nobody looks for it any more"}
    return one


def _opened(found: Json, now: float) -> Json:
    number = f"agent-{found['kind']}-{found['pool']}-{int(now * 1000)}"
    return {**found, "id": number, "first_seen": now, "last_seen": now}
