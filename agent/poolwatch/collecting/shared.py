"""One socket in two processes: a connection that was opened before a fork is used on both sides of it.

A child inherits every socket of its parent. That alone is no fault: each report names only the sockets of the
connections that its process opened, or took from a pool.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from poolwatch.detectors.hints import hint
from poolwatch.model import Finding, Json, plain

KIND = "crossing.process"


def findings(reports: Iterable[Json]) -> list[Json]:
    """Give ``crossing.process`` for each pool whose sockets two of these living processes use: proved."""
    found: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for inode, uses in _users(reports).items():
        pids = tuple(pid for pid in sorted(uses) if _holds(pid, inode)) if len(uses) > 1 else ()
        if len(pids) > 1:
            pool = uses[pids[-1]]
            found.setdefault((pool["name"], pool["library"], pids), []).append(inode)
    return [plain(_finding(*key, inodes)) for key, inodes in found.items()]


def confirm(findings: list[Json], shared: Iterable[Json]) -> list[Json]:
    """Give ``findings`` with the evidence of ``shared`` in those that processes have made themselves."""
    by_pool = {one["pool"]: one["lease"] for one in shared}
    return [
        {**one, "lease": {**one["lease"], **by_pool[one["pool"]]}}
        if one["kind"] == KIND and one["pool"] in by_pool
        else one
        for one in findings
    ]


def unsaid(shared: Iterable[Json], reports: Iterable[Json]) -> list[Json]:
    """Give what of ``shared`` no process has said itself."""
    said = {one["pool"] for report in reports for one in report["findings"] if one["kind"] == KIND}
    return [one for one in shared if one["pool"] not in said]


def _users(reports: Iterable[Json]) -> dict[int, dict[int, Json]]:
    """Give for each socket the pool of each process (by pid) that uses it."""
    users: dict[int, dict[int, Json]] = {}
    for report in reports:
        pid = report["processes"][0]["pid"]
        for pool in report["pools"]:
            for socket in pool.get("sockets", ()):
                users.setdefault(socket["inode"], {})[pid] = pool
    return users


def _holds(pid: int, inode: int) -> bool:
    """Tell whether a process has the socket open now; where that is not ours to see, its word is taken."""
    folder = f"/proc/{pid}/fd"
    try:
        return any(_is(f"{folder}/{name}", inode) for name in os.listdir(folder))
    except PermissionError:
        return True
    except OSError:
        return False


def _is(path: str, inode: int) -> bool:
    try:
        return os.readlink(path) == f"socket:[{inode}]"
    except FileNotFoundError:  # closed meanwhile
        return False


def _finding(pool: str, library: str, pids: tuple[int, ...], inodes: list[int]) -> Finding:
    one = "a socket" if len(inodes) == 1 else f"{len(inodes)} sockets"
    return Finding(
        KIND,
        "proved",
        pool,
        library,
        f"The processes {', '.join(map(str, pids))} use {one} in common: the connection was opened before a"
        " fork, and both sides speak through it.",
        hint(KIND, library),
        lease={"shared_sockets": [{"inode": inode, "pids": list(pids)} for inode in sorted(inodes)]},
    )
