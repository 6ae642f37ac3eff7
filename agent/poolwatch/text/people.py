"""Who holds connections of a pool and who waits for one, longest first."""

from __future__ import annotations

import re
from typing import Any

from poolwatch.model import Json
from poolwatch.text.words import ROOM, clean, cut, cut_left, duration, path, several

MOST = 4
"""People listed of each kind."""
_LEAST = 24
"""Columns that a name keeps, however long the path beside it is."""
_NUMBER = re.compile(r" #\d+(?= on thread | \(pid )")


def people(finding: Json) -> list[tuple[str, tuple[str, ...]]]:
    """Give labelled lines for the holders and waiters that a finding lists."""
    lease = finding["lease"]
    lists = (("Held by", dicts(lease.get("holders")), _holder), ("Waiting", dicts(lease.get("waiters")), _waiter))
    return [(label, _lines(listed, say)) for label, listed, say in lists if listed]


def dicts(value: object) -> list[Json]:
    """Give the dictionaries of a list that may be anything."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _lines(listed: list[Json], say: Any) -> tuple[str, ...]:
    seconds = "age_seconds" if say is _holder else "waited_seconds"
    longest = sorted(listed, key=lambda one: -_number(one.get(seconds)))
    more = len(listed) - MOST
    lines = tuple(say(one, duration(_number(one.get(seconds)))) for one in longest[:MOST])
    return (*lines, f"... and {several(more, 'more', 'more')}") if more > 0 else lines


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _holder(holder: Json, held: str) -> str:
    scope = f", in {holder['scope']}" if holder.get("scope") else ""
    ended = ", ended" if holder.get("alive") is False else ""
    return _line(f"{holder.get('owner')}{scope}{ended}", f"for {held}, from", holder.get("site"))


def _waiter(waiter: Json, waited: str) -> str:
    given_up = ", timed out" if waiter.get("timed_out") is True else ""
    return _line(str(waiter.get("owner")), f"for {waited}{given_up}, at", waiter.get("site"))


def _line(who: str, facts: str, site: object) -> str:
    """Say it in one line; the name gives way to the site."""
    who, site = clean(who), path(str(site))
    site = cut_left(site, ROOM - len(facts) - _LEAST - 3)
    return f"{_cut_name(who, ROOM - len(facts) - len(site) - 3)}, {facts} {site}"


def _cut_name(who: str, width: int) -> str:
    """Shorten a name, but not the number that tells it from another."""
    number, shortened = _NUMBER.search(who), cut(who, width)
    if number is None or shortened.startswith(who[: number.end()]):
        return shortened
    return cut(who[: number.start()], width - len(number[0])) + number[0]
