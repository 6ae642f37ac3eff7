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
_COLUMNS = ("pool", "class", "pid", "in use", "idle", "waiting", "limit", "checkouts", "timeouts", "handed")
_WIDTHS = (24, 15, 8, 7, 5, 8, 6, 10, 9, 8)


def summary(report: Json) -> str:
    """Say the whole report in one line."""
    leases = sum(pool["checkouts_total"] for pool in report["pools"])
    return ", ".join(
        [
            several(len(report["processes"]), "process", "processes"),
            several(len(report["pools"]), "pool"),
            several(leases, "lease"),
            findings(report),
            *_failed(report["processes"]),
        ]
    )


def _failed(processes: list[Json]) -> list[str]:
    """Name the hooks that failed: what they watch was not seen from then on."""
    names = sorted({clean(name) for process in processes for name in process.get("hook_errors", ())})
    return [f"NOT ALL WAS SEEN: {', '.join(names)} failed"] if names else []


def findings(report: Json) -> str:
    """Count the findings by grade."""
    if not report["findings"]:
        return "no findings"
    grades = [finding["grade"] for finding in report["findings"]]
    counts = [f"{grades.count(grade)} {grade}" for grade in GRADES if grade in grades]
    resolved = sum(finding["state"] == "resolved" for finding in report["findings"])
    return f"{several(len(grades), 'finding')} ({', '.join(counts)}{f'; {resolved} resolved' if resolved else ''})"


def header(report: Json) -> list[Line]:
    """Give the first block."""
    title = "poolwatch report"
    return [
        Line(title + clock(report["generated_at"]).rjust(WIDTH - len(title)), "bold"),
        *fact("", summary(report), "bold", most=6),  # with the names of hooks that failed
        *_processes(report["processes"]),
        *_pools(report["pools"]),
    ]


def _processes(processes: list[Json]) -> list[Line]:
    lines = [Line(cut(_process(process)), "dim") for process in processes[:_MOST]]
    return lines + _rest(processes, "process", "processes")


def _process(process: Json) -> str:
    end = process["ended_at"]
    ran = f"ran {duration(max(end - process['started_at'], 0))}" if end is not None else _alive(process)
    hooked = [name for name, state in process["hooks"].items() if state == "hooked"]
    failed = [f"{name} {state}" for name, state in process["hooks"].items() if state.startswith("failed")]
    known = ", ".join([_with_version(name, process["versions"]) for name in hooked] + failed)
    ending = [process["exit"]] if process["exit"] not in (None, "status 0") else []
    facts = [ran, *ending, known or "nothing hooked"]
    return clean(f"pid {process['pid']}: {cut(shlex.join(process['argv']), 45)} ({', '.join(facts)})")


def _with_version(name: str, versions: Json) -> str:
    return f"{name} {versions.get(name.replace('_', '-'), '')}".strip()


def _alive(process: Json) -> str:
    """Say how a process fares that has said no last word; only the agent knows."""
    if "silent_seconds" not in process:
        return "alive" if "slot" in process else "no last word"
    threads = Counter(thread["state"] for thread in process.get("threads", ()))
    counted = ", ".join(f"{count} {state}" for state, count in threads.most_common(3))
    doing = f": {process['state']}; threads: {counted}" if process.get("state") and counted else ""
    return f"alive but silent for {duration(max(process['silent_seconds'], 0))}{doing}"


def _rest(things: list[Json], thing: str, many: str) -> list[Line]:
    return [Line(f"... and {several(len(things) - _MOST, thing, many)} more", "dim")] if len(things) > _MOST else []


def _pools(pools: list[Json]) -> list[Line]:
    if not pools:
        return []
    busiest = sorted(pools, key=lambda pool: (-pool["waiting"], -pool["used"], -pool["checkouts_total"]))
    rows = [Line(_row(_cells(pool))) for pool in busiest[:_MOST]]
    return [Line(""), Line(_row(_COLUMNS), "bold"), *rows, *_rest(pools, "pool", "pools")]


def _cells(pool: Json) -> tuple[Any, ...]:
    limit = "-" if pool["limits"]["max"] is None else pool["limits"]["max"]
    name, cls = cut_left(clean(pool["name"]), 23), cut(clean(pool["class"]), 14)
    totals = (pool["checkouts_total"], pool["timeouts_total"], pool["hand_offs_total"])
    return name, cls, pool["pid"], pool["used"], pool["idle"], pool["waiting"], limit, *totals


def _row(cells: tuple[Any, ...]) -> str:
    named = "".join(str(cell).ljust(width) for cell, width in zip(cells[:2], _WIDTHS, strict=False))
    numbers = "".join(str(cell).rjust(width) for cell, width in zip(cells[2:], _WIDTHS[2:], strict=True))
    return cut(named + numbers)


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
