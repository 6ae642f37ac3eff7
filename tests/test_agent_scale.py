"""What many processes cost the agent, and a snapshot the process that makes it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

import poolwatch
from poolwatch.report.spool import Spool
from tests.reports import lease, report
from tests.servers import Server
from tests.test_agent import agent

PROCESSES = 200
LEASES = 20
SCRAPE_INTERVAL = 15.0
TEND_INTERVAL = 2.0


@contextmanager
def sleepers() -> Iterator[list[int]]:
    """Run processes that do nothing; gives their pids."""
    processes = [subprocess.Popen(["sleep", "300"]) for _ in range(PROCESSES)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def write(folder: Path, pids: list[int], started_at: float, age: float) -> None:
    """Write what each process would write that holds its leases ``age`` seconds long."""
    for number, pid in enumerate(pids):
        made = report(leases=tuple(lease(id=i, age_seconds=age + i) for i in range(LEASES)), pid=pid, ended=None)
        made["processes"][0]["started_at"] = started_at
        local = ({"inode": 100 * number + i + 1, "local": f"127.0.0.1:{20000 + i}"} for i in range(LEASES))
        made["pools"][0] |= {"peers": ["127.0.0.1:5432"], "sockets": list(local)}
        Spool(str(folder)).write(made)


@pytest.mark.alone
def test_cost_of_many_processes(tmp_path: Path) -> None:
    """200 processes with 20 leases: at most 0.5 s for a scrape, 5 % of a core, and 150 MB."""
    with sleepers() as pids:
        started_at = time.time() + 1
        write(tmp_path / "spool", pids, started_at, 0)
        with agent(tmp_path) as seen:
            process = psutil.Process(seen.process.pid)
            scrapes = []
            for age in range(1, 4):
                write(tmp_path / "spool", pids, started_at, age)
                before = _cpu(process)
                gauges = seen.sums(("gauge",))
                scrapes.append(_cpu(process) - before)
            assert gauges["poolwatch_processes", "live"] == PROCESSES
            until_then, before = time.monotonic() + 2, _cpu(process)
            while time.monotonic() < until_then:
                time.sleep(0.1)
            tends = (_cpu(process) - before) / 2 * 0.1  # one look in a tenth of a second
            share = min(scrapes) / SCRAPE_INTERVAL + tends / TEND_INTERVAL
            size = process.memory_info().rss / 2**20
    print(f"scrape {min(scrapes):.3f} s of CPU, a look {tends:.3f} s, {share:.1%} of a core, {size:.0f} MB")
    assert min(scrapes) <= 0.5
    assert share <= 0.05
    assert size <= 150


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.alone
def test_cost_of_a_snapshot(postgres: Server) -> None:
    """A snapshot of 20 leases, as what is written to the spool, takes about a millisecond of CPU."""
    watch = poolwatch.install(interval=60)
    engine = create_engine(postgres.url("psycopg"), pool_size=LEASES)
    connections = [engine.connect() for _ in range(LEASES)]
    try:
        for connection in connections:
            connection.execute(text("select 1"))
        assert len(watch.report()["leases"]) == LEASES
        costs = []
        for _ in range(200):
            before = time.thread_time()
            json.dumps(watch.report())
            costs.append(time.thread_time() - before)
    finally:
        for connection in connections:
            connection.close()
        engine.dispose()
        watch.uninstall()
    print(f"{min(costs) * 1000:.2f} ms")
    assert min(costs) <= 0.0015
