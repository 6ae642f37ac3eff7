"""Spools of services that do not exist: what agents give for a large fleet, counted and compared with ``bench.series``.

    python -m bench.spools [--services 1000] [--write docs/scale.md]

Each service has instances (a host or pod with an agent), each instance worker processes. The files are what processes
write, in a folder in memory, one instance after the other; the exposition is what the agent answers to a scrape. Only
the processes are not real: all instances share the pids of some that sleep.
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from bench import machine, series
from bench.peer import ACCEPT
from bench.progress import Progress
from bench.series import Shape
from poolwatch.collecting.keeper import Keeper
from poolwatch.ledger.records import BOUNDS
from poolwatch.model import (
    Finding,
    FindingTotal,
    Histogram,
    Limits,
    PoolState,
    Process,
    ScopeTotals,
    Site,
    SiteTotals,
    Snapshot,
)
from poolwatch.report.spool import Spool
from poolwatch.server.endpoints import Endpoints

INSTANCES = 5
"""Of each service."""
MOST_PROCESSES = 6
SCRAPE_INTERVAL = 15
"""Seconds, as in deploy/prometheus/prometheus.yml."""
_FIGURES = "<!-- figures: python -m bench.spools --write docs/scale.md -->"
_TIMES = Histogram(tuple((bound, rank) for rank, bound in enumerate((*BOUNDS, float("inf")), 1)), 12.5, len(BOUNDS) + 1)


@dataclass
class Fleet:
    """What was counted over all instances."""

    services: int = 0
    instances: int = 0
    processes: int = 0
    series: int = 0
    most_series: int = 0
    answered: int = 0
    """Bytes."""
    wrong: list[str] = field(default_factory=list)
    """Instances whose series are not those of the formula."""
    scrapes: list[float] = field(default_factory=list)
    """Seconds that each took to answer."""

    def add(self, name: str, shape: Shape, body: bytes, seconds: float) -> None:
        """Count one scrape."""
        found = count(body)
        self.instances += 1
        self.processes += shape.processes
        self.series += found
        self.most_series = max(self.most_series, found)
        self.answered += len(body)
        self.scrapes.append(seconds)
        if found != series.total(shape):
            self.wrong.append(f"{name}: {found} instead of {series.total(shape)}")


def count(body: bytes) -> int:
    """Give the series of an exposition."""
    return sum(not line.startswith(b"#") for line in body.splitlines())


def shape_of(service: int) -> Shape:
    """Give a service's instance its size, always the same for the same number: few are large, few leak."""
    if service % 100 == 99:
        return Shape(3, MOST_PROCESSES, 150, 130)  # beyond the limits of sites and scopes
    dice = random.Random(service)
    pools = dice.choices((1, 2, 3), (6, 3, 1))[0]
    processes = dice.randint(2, MOST_PROCESSES)
    return Shape(pools, processes, dice.randint(4, 40), dice.randint(3, 30), dice.choices((0, 1, 3), (16, 3, 1))[0])


def write(folder: Path, shape: Shape, pids: list[int]) -> None:
    """Write the files of an instance's processes, as their watchers would."""
    for pid in pids[: shape.processes]:
        assert Spool(str(folder)).write(snapshot(shape, pid).to_json())


def snapshot(shape: Shape, pid: int) -> Snapshot:
    """Give what a process of an instance of this shape knows; servers are known to the agent only."""
    now = time.time()
    names = [f"db-{number}.internal:5432/orders" for number in range(shape.pools)]
    pools = [_pool(name, pid) for name in names]
    sites = [_site(number, names) for number in range(shape.sites)]
    scopes = [
        ScopeTotals(f"GET /api/v1/things_{number}/{{id}}", 900, 900, 1, 0.1, 4.5, 2.1) for number in range(shape.scopes)
    ]
    findings = [_finding(kind, names[0], pid, now) for kind in _KINDS[: shape.findings]]
    totals = [FindingTotal(one.kind, one.grade, one.pool, 1) for one in findings]
    versions = {"poolwatch": metadata.version("poolwatch"), "python": platform.python_version()}
    process = Process(
        pid, 1, ("app",), now, versions=versions, watcher_cpu_seconds=1.5, interval=0.25, seen_at=now,
        alerts={f"sink-{number} sent": 1 for number in range(shape.sinks)},
        hook_errors={f"hook-{number}": 1 for number in range(shape.losses)},
        dropped={f"limit-{number}": 1 for number in range(shape.losses)},
    )  # fmt: skip
    return Snapshot(
        now, process, tuple(pools), sites=tuple(sites), scopes=tuple(scopes), findings=tuple(findings),
        findings_total=tuple(totals),
    )  # fmt: skip


_KINDS = ("leak.scope_ended", "hold.idle", "starvation.exhausted")


def _finding(kind: str, pool: str, pid: int, now: float) -> Finding:
    site = Site("/srv/app/orders/views_1.py", 1, "get")
    return Finding(kind, "proved", pool, "sqlalchemy", "", "", site, id="1", first_seen=now, last_seen=now, pid=pid)


def _site(number: int, pools: list[str]) -> SiteTotals:
    where = Site(f"/srv/app/orders/views_{number}.py", number, "get")
    return SiteTotals(pools[number % len(pools)], where, 900, 4.5, 2.1, leases=2 if number < len(pools) else 0)


def _pool(name: str, pid: int) -> PoolState:
    return PoolState(
        name, "sqlalchemy", "QueuePool", pid, Limits(5, 15, 30.0), used=2, idle=3, checkouts_total=1800,
        wait_seconds=_TIMES, use_seconds=_TIMES, create_seconds=_TIMES, leases_by_owner={"thread": 2},
    )  # fmt: skip


@contextmanager
def living(number: int) -> Iterator[list[int]]:
    """Give the pids of processes that do nothing."""
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(["sleep", "infinity"])) for _ in range(number)]
        for process in processes:
            stack.callback(process.kill)
        yield [process.pid for process in processes]


@contextmanager
def memory() -> Iterator[Path]:
    """Give a new folder, in memory where there is such a place."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = tempfile.mkdtemp(prefix="spools-", dir=place)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


def scraped(services: Iterable[int], instances: int = INSTANCES) -> Iterator[Fleet]:
    """Write, scrape and count one instance after the other; gives the same figures, grown, after each service."""
    fleet = Fleet()
    with living(MOST_PROCESSES) as pids:
        for service in services:
            for instance in range(instances):
                with memory() as folder:
                    _scrape(fleet, f"service {service}, instance {instance}", folder, shape_of(service), pids)
            fleet.services += 1
            yield fleet


def _scrape(fleet: Fleet, name: str, folder: Path, shape: Shape, pids: list[int]) -> None:
    write(folder, shape, pids)
    read = Keeper(str(folder)).report
    answer = Endpoints(read, read).table["/metrics"]
    began = time.perf_counter()
    body = answer(ACCEPT).body
    fleet.add(name, shape, body, time.perf_counter() - began)


def figures(fleet: Fleet, seconds: float) -> str:
    """Give the figures of a run as Markdown, with where they were measured."""
    times = sorted(fleet.scrapes)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        ("services, instances, processes", f"{fleet.services:,}, {fleet.instances:,}, {fleet.processes:,}"),
        ("series in all", f"{fleet.series:,}"),
        ("instances whose series are not those of the formula", f"{len(fleet.wrong):,}"),
        ("series of an instance: mean, most", f"{fleet.series / fleet.instances:,.0f}, {fleet.most_series:,}"),
        ("bytes of a scrape, mean", f"{fleet.answered / fleet.instances:,.0f}"),
        (f"samples a second at {SCRAPE_INTERVAL} s between scrapes", f"{fleet.series / SCRAPE_INTERVAL:,.0f}"),
        (f"bytes a second at {SCRAPE_INTERVAL} s between scrapes", f"{fleet.answered / SCRAPE_INTERVAL:,.0f}"),
        (
            "first answer of an agent: median, 99 of 100, ms",
            f"{times[len(times) // 2] * 1e3:.1f}, {_most(times) * 1e3:.1f}",
        ),
        ("the whole run", f"{seconds:.0f} s, {memory:.0f} MiB at most"),
    ]
    python = f"CPython {platform.python_version()}, prometheus-client {metadata.version('prometheus-client')}"
    where = f"Run on {machine.today()} on {machine.cpu()}; {machine.kernel()}; {python}"
    return f"{where}:\n\n| figure | |\n| --- | --- |\n" + "".join(f"| {what} | {value} |\n" for what, value in rows)


def _most(times: list[float]) -> float:
    return times[min(len(times) * 99 // 100, len(times) - 1)]


def main() -> None:
    """Count a fleet, print the figures, and write them into the page where one is named; 1 where a count is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.spools", description="Count the series of a large fleet.")
    parser.add_argument("--services", type=int, default=1000, metavar="N", help="services (1000)")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the figures into this page too")
    options = parser.parse_args()
    if options.services < 1:
        parser.error(f"argument --services: {options.services} is not allowed; use 1 or more")
    progress, began = Progress(options.services), time.monotonic()
    progress.label("services")
    fleet = Fleet()
    for fleet in scraped(range(options.services)):  # noqa: B007 -- the last one is the whole
        progress.tick()
    progress.close()
    text = figures(fleet, time.monotonic() - began)
    print(text)
    if options.write:
        head, mark, _ = options.write.read_text("utf-8").partition(_FIGURES)
        options.write.write_text(f"{head}{mark or _FIGURES}\n\n{text}", "utf-8")
    if fleet.wrong:
        raise SystemExit("\n".join(fleet.wrong[:20]))


if __name__ == "__main__":
    main()
