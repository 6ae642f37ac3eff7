"""The head and the foot of a report: processes, pools, counts, and where to look next."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from typing import Any

from poolwatch.model import GRADES, Json
from poolwatch.text.words import WIDTH, Line, clean, clock, cut, cut_left, duration, fact, several

_MOST = 12
"""Processes and pools listed by name."""
_MOST_REASONS = 3
"""Reasons said why not all was seen."""
_COLUMNS = ("pool", "class", "pid", "in use", "idle", "waiting", "limit", "checkouts", "timeouts", "handed")
_WIDTHS = (24, 15, 8, 7, 5, 8, 6, 10, 9, 8)
_NAMES = 2
"""Columns of words, which stand at the left; the others are numbers."""
_DISPENSABLE = ("class", "timeouts", "handed")


def summary(report: Json) -> str:
    """Say the whole report in one line."""
    leases = sum(pool["checkouts_total"] for pool in report["pools"])
    return ", ".join(
        [
            several(len(report["processes"]), "process", "processes"),
            several(len(report["pools"]), "pool"),
            several(leases, "lease"),
            findings(report),
            *_unseen(report),
            *_unshown(report["processes"]),
        ]
    )


def _unseen(report: Json) -> list[str]:
    """Name the hooks that failed, for what they watch was not seen from then on, and who could not tell all."""
    names = sorted({clean(name) for process in report["processes"] for name in process.get("hook_errors", ())})
    reasons = [*([f"{', '.join(names)} failed"] if names else []), *map(clean, report.get("unseen", ()))]
    more = [f"and {len(reasons) - _MOST_REASONS} more"] if len(reasons) > _MOST_REASONS else []
    return [f"NOT ALL WAS SEEN: {'; '.join([*reasons[:_MOST_REASONS], *more])}"] if reasons else []


def _unshown(processes: list[Json]) -> list[str]:
    more = sum(process.get("dropped", {}).get("findings", 0) for process in processes)
    return [f"NOT ALL IS SHOWN: {several(more, 'finding')} more than max_findings"] if more else []


def findings(report: Json) -> str:
    """Count the findings by grade."""
    if not report["findings"]:
        return "no findings"
    grades = [finding["grade"] for finding in report["findings"]]
    counts = [f"{grades.count(grade)} {grade}" for grade in GRADES if grade in grades]
    resolved = sum(finding["state"] == "resolved" for finding in report["findings"])
    return f"{several(len(grades), 'finding')} ({', '.join(counts)}{f'; {resolved} resolved' if resolved else ''})"


def header(report: Json, width: int = WIDTH) -> list[Line]:
    """Give the first block, at most ``width`` columns wide."""
    title = "poolwatch report"
    return [
        Line(title + clock(report["generated_at"]).rjust(width - len(title)), "bold"),
        *fact("", summary(report), "bold", 6, width),  # with the names of hooks that failed
        *_processes(report["processes"], report["generated_at"]),
        *_pools(report["pools"], width),
    ]


def _processes(processes: list[Json], now: float) -> list[Line]:
    lines = [Line(cut(_process(process, now)), "dim") for process in processes[:_MOST]]
    return lines + _rest(processes, "process", "processes")


def _process(process: Json, now: float) -> str:
    hooked = [name for name, state in process["hooks"].items() if state == "hooked"]
    failed = [f"{name} {state}" for name, state in process["hooks"].items() if state.startswith("failed")]
    known = ", ".join([_with_version(name, process["versions"]) for name in hooked] + failed)
    ending = [process["exit"]] if process["exit"] not in (None, "status 0") else []
    facts = [*dict.fromkeys([_fared(process, now), *ending]), known or "nothing hooked"]
    return clean(f"pid {process['pid']}: {cut(shlex.join(process['argv']), 45)} ({', '.join(facts)})")


def _with_version(name: str, versions: Json) -> str:
    return f"{name} {versions.get(name.replace('_', '-'), '')}".strip()


def _fared(process: Json, now: float) -> str:
    """Say how long a process ran, or how it fares; who has seen that it died says how it ended."""
    if process["ended_at"] is not None:
        return f"ran {duration(max(process['ended_at'] - process['started_at'], 0))}"
    if process["exit"] is not None:
        return "no last word"
    return _alive(process, now)


def _alive(process: Json, now: float) -> str:
    """Say how a process fares that runs; only the agent knows of one that is silent."""
    if "silent_seconds" not in process:
        return f"running for {duration(max(now - process['started_at'], 0))}"
    threads = Counter(thread["state"] for thread in process.get("threads", ()))
    counted = ", ".join(f"{count} {state}" for state, count in threads.most_common(3))
    doing = f": {process['state']}; threads: {counted}" if process.get("state") and counted else ""
    return f"alive but silent for {duration(max(process['silent_seconds'], 0))}{doing}"


def _rest(things: list[Json], thing: str, many: str) -> list[Line]:
    return [Line(f"... and {several(len(things) - _MOST, thing, many)} more", "dim")] if len(things) > _MOST else []


def _pools(pools: list[Json], width: int) -> list[Line]:
    if not pools:
        return []
    busiest = sorted(pools, key=lambda pool: (-pool["waiting"], -pool["used"], -pool["checkouts_total"]))
    rows = [Line(_row(_cells(pool), width)) for pool in busiest[:_MOST]]
    return [Line(""), Line(_row(_COLUMNS, width), "bold"), *rows, *_rest(pools, "pool", "pools")]


def _cells(pool: Json) -> tuple[Any, ...]:
    limit = "-" if pool["limits"]["max"] is None else pool["limits"]["max"]
    name, cls = cut_left(clean(pool["name"]), 23), cut(clean(pool["class"]), 14)
    totals = (pool["checkouts_total"], pool["timeouts_total"], pool["hand_offs_total"])
    return name, cls, pool["pid"], pool["used"], pool["idle"], pool["waiting"], limit, *totals


def _row(cells: tuple[Any, ...], width: int) -> str:
    """Give a line of the table; where there is no room for all columns, the dispensable ones are left out."""
    shown = [
        str(cell).ljust(wide) if index < _NAMES else str(cell).rjust(wide)
        for index, (cell, wide) in enumerate(zip(cells, _WIDTHS, strict=True))
        if width >= WIDTH or _COLUMNS[index] not in _DISPENSABLE
    ]
    return cut("".join(shown), width)


def footer(report: Json) -> list[Line]:
    """Say where to look next."""
    if not report["findings"]:
        return []
    advice = (
        "Where next: fix the first finding first; later ones often follow from it. All frames and facts are in the"
        " JSON report: poolwatch run --report leaks.json -- COMMAND. What a kind means, and how it is cured:"
        " poolwatch explain KIND"
    )
    return [Line(text, "dim") for text in textwrap.wrap(advice, WIDTH)]
