"""What sinks are told: one fault at one moment, as JSON and as text for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from poolwatch.model import Json
from poolwatch.text.people import people
from poolwatch.text.words import clean, clock, duration

State = Literal["opened", "stronger", "repeated", "resolved"]

VERSION = 1
_LONGEST = 500
"""Characters of one line of the text."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: the program's name, the host, and the host with the process where each speaks for itself."""

    name: str
    host: str
    instance: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A change of one fault. ``id`` stays the same from its opening to its end, ``number`` counts what was told of it.

    ``opened_at`` and ``at`` are Unix times; ``finding`` is the report's.
    """

    id: str
    state: State
    number: int
    finding: Json
    opened_at: float
    at: float
    origin: Origin
    test: bool = False

    @property
    def key(self) -> str:
        """Tell this message from all others: who gets it twice may drop the second."""
        return f"{self.id}:{self.number}"

    @property
    def severity(self) -> str:
        """Give Prometheus' usual word for the grade."""
        return {"proved": "critical", "probable": "warning"}.get(self.finding["grade"], "info")

    @property
    def site(self) -> str:
        """Give ``file:line function``, or nothing."""
        site = self.finding["site"]
        return clean(f"{site['file']}:{site['line']} {site['function']}") if site else ""

    def to_json(self) -> Json:
        """Give what webhooks and functions get."""
        return {
            "version": VERSION,
            "id": self.id,
            "state": self.state,
            "number": self.number,
            "test": self.test,
            "severity": self.severity,
            "name": self.origin.name,
            "host": self.origin.host,
            "instance": self.origin.instance,
            "opened_at": iso(self.opened_at),
            "at": iso(self.at),
            "text": self.text(),
            "finding": self.finding,
        }

    def headline(self) -> str:
        """Say in one line what it is about."""
        found = self.finding
        stronger = f"NOW {found['grade'].upper()}: "
        words = {"opened": "", "stronger": stronger, "repeated": "STILL OPEN: ", "resolved": "RESOLVED: "}
        state = "TEST: " if self.test else words[self.state]
        where = f"pool {found['pool']} of {self.origin.name} on {self.origin.instance}"
        return _line(f"{state}{found['kind']} ({found['grade']}) on {where}")

    def text(self) -> str:
        """Say it to a person, in a few lines."""
        return "\n".join([self.headline(), *self.details()])

    def details(self) -> list[str]:
        """Say what a person needs next: what, where, who, since when, and what to do."""
        found = self.finding
        lines = [_line(found["summary"])]
        if self.site:
            lines.append(_line(f"Where: {self.site}"))
        if found["owners"]:
            lines.append(_line(f"Who: {_owner(found['owners'][0])}"))
        lines += [_line(f"{label}: {one}") for label, listed in people(found) for one in listed]
        if found["retained_by"]:
            lines.append(_line(f"Kept by: {'; '.join(found['retained_by'])}"))
        lines.append(f"Since: {clock(self.opened_at)}, {_times(found['count'])}")
        if self.state == "resolved":
            lasted = duration(max(self.at - self.opened_at, 0))
            return [*lines, _line(f"Resolved after {lasted}: {found['resolution']}")]
        return [*lines, _line(f"Fix: {found['hint']}")] if found["hint"] else lines


def iso(moment: float) -> str:
    """Give a Unix time as RFC 3339, in UTC."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _owner(owner: Json) -> str:
    inner = [f"{kind} {owner[kind]} on" for kind in ("task", "greenlet") if owner[kind]][:1]
    scope = f" in {owner['scope']}" if owner["scope"] else ""
    words = " ".join([*inner, f"thread {owner['thread']} (pid {owner['pid']}){scope}"])
    return words if owner["alive"] else f"{words}, ended"
