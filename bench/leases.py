"""Many pools with many live leases, and what a lease and a scrape cost then."""

from __future__ import annotations

import gc
import sqlite3
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Any

import psutil
from sqlalchemy import Pool, QueuePool

from poolwatch.config import Config
from poolwatch.export.exposition import encode
from poolwatch.host.native import with_collector_paused
from poolwatch.watch import Watch, install

LOOKS = 3
"""Looks of the watcher to wait for before memory is read."""
SCRAPES = 20
POOLS = 100
LIVE = 10_000
PLAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Flat:
    """What stays after so many leases that came back; growth counts from the first tenth on."""

    leases: int
    block_growth: int
    """Python memory blocks more at the end."""
    rss_growth: int
    """Bytes more at the end."""
    rss_peak_growth: int
    """Bytes more at the worst of the moments looked at, queues of the watcher included."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """What a look at ``POOLS`` pools with ``LIVE`` leases takes, in CPU seconds, and what a busy thread saw of it."""

    snapshot: float
    """The whole of it, with every lease."""
    exposition: float
    """What Prometheus gets at a scrape."""
    stall: float
    """Longest time a busy thread did not run while scrapes went on."""
    plain_stall: float
    """The same beside a thread of plain Python: what taking turns costs here anyway."""


@contextmanager
def open_pools(count: int, size: int) -> Iterator[list[Pool]]:
    """Give ``count`` pools, each with ``size`` SQLite connections open and idle."""
    pools: list[Pool] = [QueuePool(_connect, pool_size=size, max_overflow=0) for _ in range(count)]
    try:
        for pool in pools:
            for lease in [pool.connect() for _ in range(size)]:
                lease.close()
        yield pools
    finally:
        for pool in pools:
            pool.dispose()


def _connect() -> Any:
    return sqlite3.connect(":memory:", check_same_thread=False)


def flat(leases: int, tick: Callable[[], None]) -> Flat:
    """Take and return so many leases under poolwatch and tell what stays; ``tick`` is called twenty times."""
    start = perf_counter()
    watch = install()
    try:
        with open_pools(1, 1) as (pool,):
            blocks, rss, readings = _take_and_return(watch, pool, leases, tick)
    finally:
        watch.uninstall()
    return Flat(leases, blocks, rss, max(readings), perf_counter() - start)


def _take_and_return(watch: Watch, pool: Pool, leases: int, tick: Callable[[], None]) -> tuple[int, int, list[int]]:
    process = psutil.Process()
    for _ in range(leases // 10):
        pool.connect().close()
    settle(watch)
    blocks, rss, readings = sys.getallocatedblocks(), process.memory_info().rss, []
    for _ in range(20):
        for _ in range(leases * 9 // 200):
            pool.connect().close()
        readings.append(process.memory_info().rss - rss)
        tick()
    settle(watch)
    return sys.getallocatedblocks() - blocks, process.memory_info().rss - rss, readings


def settle(watch: Watch | None) -> None:
    """Let the watcher look a few times, and collect garbage."""
    if watch is not None:
        time.sleep(LOOKS * Config.of().interval)
        watch.snapshot()
    gc.collect()


def live_lease_bytes(count: int = LIVE) -> float:
    """Give the bytes of Python memory that poolwatch keeps for each of ``count`` live leases."""
    with open_pools(1, count) as (pool,):
        bare = _held(pool, count, None)
        watch = install()
        try:
            return _held(pool, count, watch) - bare
        finally:
            watch.uninstall()


def _held(pool: Pool, count: int, watch: Watch | None) -> float:
    tracemalloc.start()
    try:
        settle(watch)
        before = tracemalloc.get_traced_memory()[0]
        leases = [pool.connect() for _ in range(count)]
        settle(watch)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    for lease in leases:
        lease.close()
    return (after - before) / count


def scrape(pools: int = POOLS, live: int = LIVE, scrapes: int = SCRAPES) -> Scrape:
    """Time snapshot and exposition with ``live`` leases out of ``pools`` pools; each is the median of ``scrapes``."""
    watch = install()
    try:
        with open_pools(pools, live // pools) as opened:
            leases = [pool.connect() for pool in opened for _ in range(live // pools)]
            settle(watch)
            result = _scrape(watch, scrapes)
            for lease in leases:
                lease.close()
    finally:
        watch.uninstall()
    return result


def _scrape(watch: Watch, scrapes: int) -> Scrape:
    snapshot = _median(watch.snapshot, scrapes)
    exposition = _median(lambda: _served(watch), scrapes)
    plain = _longest_stall(lambda: _plain_python(max(PLAIN_SECONDS, scrapes * (snapshot + exposition))))
    stall = _longest_stall(lambda: _look(watch, scrapes))
    return Scrape(snapshot, exposition, stall, plain)


def _served(watch: Watch) -> bytes:
    """Give what ``/metrics`` answers on ``--serve``."""
    return with_collector_paused(lambda: encode(watch.numbers()))


def _median(work: Callable[[], object], times: int) -> float:
    return statistics.median(_timed(work) for _ in range(times))


def _timed(work: Callable[[], object]) -> float:
    """Give the CPU seconds of this thread, so that neighbours on the machine do not count."""
    start = thread_time()
    work()
    return thread_time() - start


def _look(watch: Watch, times: int) -> None:
    for _ in range(times):
        watch.snapshot()
        _served(watch)


def _plain_python(seconds: float) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        sum(range(100))


def _longest_stall(work: Callable[[], None]) -> float:
    """Run ``work`` in a thread and give the longest time that this one, always busy, did not run."""
    gc.collect()
    worker = threading.Thread(target=work)
    worker.start()
    longest, last = 0.0, perf_counter()
    while worker.is_alive():
        now = perf_counter()
        longest, last = max(longest, now - last), now
    return longest
