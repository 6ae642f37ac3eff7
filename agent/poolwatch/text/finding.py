"""One finding on one screen."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from poolwatch.model import Json
from poolwatch.text.order import worst_first
from poolwatch.text.people import dicts, people
from poolwatch.text.words import Line, clean, clock, cut, duration, fact, path, several

LINES = 24
"""The most a finding takes."""
_OWNERS = 4
_LARGEST_SOURCE = 5_000_000
_STACKS = {"checkout": "Taken at", "last_use": "Last used", "current": "Holder now", "release": "Released"}


def block(finding: Json, report: Json) -> list[Line]:
    """Give the lines of one finding, at most ``LINES``; lists and stacks get the room that the rest leaves."""
    head = [*_heading(finding), *fact("", finding["summary"])]
    facts = [*_where(finding), *_who(finding), *_since(finding, report), *_lease(finding), *_sockets(finding)]
    facts += _pool(finding, report)
    tail = [*_retained(finding), *fact("Fix:", finding["hint"], "fix")] if finding["hint"] else _retained(finding)
    return [*head, *facts, *_lists(finding, LINES - len(head) - len(facts) - len(tail)), *tail]


def _heading(finding: Json) -> list[Line]:
    times = f" x {finding['count']}" if finding["count"] > 1 else ""
    state = f", resolved: {finding['resolution']}" if finding["state"] == "resolved" else ""
    style = finding["grade"] if finding["state"] == "open" else "dim"
    return [Line(cut(f"== {clean(finding['kind']).upper()}{times} -- {finding['grade']}{clean(state)}"), style)]


def headlines(report: Json) -> list[Line]:
    """Give two lines for each finding, the worst first."""
    lines = [Line("")] if report["findings"] else []
    for finding in worst_first(report["findings"]):
        place = f"   {_place(finding['site'])}: " if finding["site"] else "   "
        lines += [*_heading(finding), Line(cut(place + clean(finding["summary"])))]
    return lines


def _where(finding: Json) -> list[Line]:
    site = finding["site"]
    return fact("Where", _place(site), "bold", 2) + _source(site) if site else []


def _place(place: Json) -> str:
    return f"{path(place['file'])}:{place['line']} {clean(place['function'])}"


def _source(site: Json) -> list[Line]:
    text = _source_line(site["file"], site["line"])
    return fact("", "> " + text, most=1) if text else []


def _source_line(file: str, line: int) -> str:
    try:
        if not os.path.isfile(file) or os.path.getsize(file) > _LARGEST_SOURCE:
            return ""
        return linecache.getline(file, line).strip()
    except (OSError, ValueError):
        return ""


def _who(finding: Json) -> list[Line]:
    owners = finding["owners"] if not dicts(finding["lease"].get("holders")) else []  # who are listed
    lines = [line for owner in owners[:_OWNERS] for line in fact("Who", _owner(owner, owners), most=1)]
    more = len(owners) - _OWNERS
    return lines + (fact("", f"... and {several(more, 'owner')} more", "dim") if more > 0 else [])


def _owner(owner: Json, others: list[Json]) -> str:
    mark = _mark(owner, others)
    inner = [f"{kind} {owner[kind]}{mark} on" for kind in ("task", "greenlet") if owner[kind]][:1]
    said = f" ({owner['scope_attributes']})" if owner.get("scope_attributes") else ""
    shown = {"loop": owner["loop"], "scope": owner["scope"] and owner["scope"] + said, "trace_id": owner["trace_id"]}
    marks = [f"{name} {value}" for name, value in shown.items() if value]
    thread = f"thread {owner['thread']}" + ("" if inner else mark)
    where = " ".join([*inner, f"{thread} (pid {owner['pid']})"])
    return ", ".join([where, "alive" if owner["alive"] else "ended", *marks])


_NAMED_BY = ("pid", "thread", "task", "greenlet")


def _mark(owner: Json, others: list[Json]) -> str:
    """Give an owner's number where another of the finding's owners has the same name."""
    same = {other.get("key") for other in others if all(other[part] == owner[part] for part in _NAMED_BY)}
    return f" #{owner['key']}" if len(same - {None}) > 1 and "key" in owner else ""


def _since(finding: Json, report: Json) -> list[Line]:
    first, last = finding["first_seen"], finding["last_seen"]
    ago = f"{clock(first)}, {duration(max(report['generated_at'] - first, 0))} before this report"
    again = f", {several(finding['count'], 'time')}, the last {duration(last - first)} later" if last > first else ""
    return fact("Since", ago + (again if finding["count"] > 1 else ""), most=1)


def _lease(finding: Json) -> list[Line]:
    lease = finding["lease"]
    facts = [sentence for name, say in _FACTS.items() if (sentence := say(lease[name]) if name in lease else "")]
    others = [f"{name.replace('_', ' ')} {_short(value)}" for name, value in lease.items() if _is_other(name, value)]
    lines = fact("Lease", ", ".join(facts + others), most=2) if facts or others else []
    statement = lease.get("last_statement")
    return lines + (fact("Last SQL", statement, most=2) if statement else [])


def _sockets(finding: Json) -> list[Line]:
    found = [_socket(socket) for socket in dicts(finding["lease"].get("sockets"))]
    shared = [_shared_socket(socket) for socket in dicts(finding["lease"].get("shared_sockets"))]
    lines = [line for words in (found + shared)[:_OWNERS] for line in fact("Socket", words, most=1)]
    more = len(found + shared) - _OWNERS
    return lines + (fact("", f"... and {several(more, 'socket')} more", "dim") if more > 0 else [])


def _socket(socket: Json) -> str:
    at = f"fd {socket.get('fd')}, {socket.get('local')} to {socket.get('peer')}"
    where = "in the pool" if socket.get("pooled") else "in no pool"
    return f"{at}, {socket.get('state')}, {where}, inode {socket.get('inode')}"


def _shared_socket(socket: Json) -> str:
    pids = socket.get("pids")
    return f"inode {socket.get('inode')} in the processes {', '.join(map(str, pids if isinstance(pids, list) else []))}"


def _say_duration(word: str) -> Any:
    return lambda value: f"{word} {duration(value)}" if isinstance(value, (int, float)) else ""


_FACTS: dict[str, Any] = {
    "age_seconds": _say_duration("held"),
    "idle_seconds": _say_duration("idle"),
    "busy_seconds": _say_duration("in SQL"),
    "statements": lambda value: several(value, "statement") if isinstance(value, int) else "",
    "in_transaction": lambda value: {True: "transaction open", False: "no transaction"}.get(value, ""),
    "backend_pid": lambda value: f"backend pid {value}" if value is not None else "",
}
_SHOWN_ELSEWHERE = {*_FACTS, "last_statement", "id", "pool", "library", "site"}


def _is_other(name: str, value: object) -> bool:
    return name not in _SHOWN_ELSEWHERE and not isinstance(value, (dict, list)) and value not in (None, False, "")


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pool(finding: Json, report: Json) -> list[Line]:
    pools = [pool for pool in report["pools"] if pool["name"] == finding["pool"]]
    pool = next((pool for pool in pools if pool["pid"] == finding.get("pid")), pools[0] if pools else None)
    return fact("Pool", _pool_state(pool) if pool else finding["pool"], most=2)


def _pool_state(pool: Json) -> str:
    limits = pool["limits"]
    most = "unlimited" if limits["max"] is None else f"at most {limits['max']}"
    patience = "" if limits["timeout"] is None else f", waits {duration(limits['timeout'])}"
    now = f"{pool['used']} in use, {pool['idle']} idle, {pool['waiting']} waiting"
    return f"{pool['name']} ({pool['library']} {pool['class']}, {most}{patience}): {now} at the last look"


def _retained(finding: Json) -> list[Line]:
    return fact("Kept by", "; ".join(finding["retained_by"]), most=2) if finding["retained_by"] else []


def _lists(finding: Json, room: int) -> list[Line]:
    """Give holders, waiters and stacks in ``room`` lines, shared fairly."""
    lists = [*people(finding), *_stacks(finding)]
    return [line for label, lines in _fitted(lists, room) for line in _labelled(label, lines)]


def _stacks(finding: Json) -> list[tuple[str, tuple[str, ...]]]:
    """Give the stacks; one that says what another said is left out."""
    told: set[tuple[str, ...]] = set()
    stacks = []
    for name, label in _STACKS.items():
        lines = tuple(_stack(finding["stacks"].get(name, ()), finding["site"] if name == "checkout" else None))
        if lines and lines not in told:
            told.add(lines)
            stacks.append((label, lines))
    return stacks


def _stack(frames: Iterable[Json], site: Json | None) -> list[str]:
    """Give the application's frames, innermost first, and one line for all others."""
    frames = list(frames)
    own = [_place(frame) for frame in frames if not frame["library"]]
    if site and own[:1] == [_place(site)]:
        own = own[1:]
    others = [_package(frame["file"]) for frame in frames if frame["library"]]
    names = ", ".join(name for name, _ in groupby(sorted(set(others))))
    return own + ([f"(+ {several(len(others), 'frame')} of {names})"] if others else [])


def _package(file: str) -> str:
    parts = file.replace("\\", "/").split("/")
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            return clean(parts[parts.index(folder) + 1]).removesuffix(".py")
    return "the standard library"


def _fitted(lists: list[tuple[str, tuple[str, ...]]], room: int) -> Iterable[tuple[str, tuple[str, ...]]]:
    for left, (label, lines) in zip(range(len(lists), 0, -1), lists, strict=True):
        share = max(room // left, 0)
        if share < len(lines):
            hidden = len(lines) - share + 1
            lines = (*lines[: share - 1], f"... {several(hidden, 'line')} more in the JSON report") if share else ()
        room -= len(lines)
        yield label, lines


def _labelled(label: str, lines: tuple[str, ...]) -> Iterable[Line]:
    for index, text in enumerate(lines):
        yield from fact(label if index == 0 else "", text, "dim" if text.startswith(("(", "...")) else "", most=1)
