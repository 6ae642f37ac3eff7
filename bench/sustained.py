"""What slices of a millisecond do not show: seconds on end, with garbage collections and every look of the watcher."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time

from sqlalchemy import Engine

from bench.batch import repeat
from bench.cases import SELECT, SQLITE, Case, open_engine, sync_once
from poolwatch.watch import Watch, install

CHUNK = 200
TURNS = 3


@dataclass(frozen=True, slots=True)
class Sustained:
    """CPU seconds per ``connect, select 1, close`` over a long run, and the watcher's CPU per second of it."""

    bare: float
    poolwatch: float
    watcher_busy: float
    watcher_idle: float


def sustained(seconds: float, tick: Callable[[], None]) -> Sustained:
    """Run for ``seconds`` bare and watched, three times in turn; give the best of each, and the watcher's CPU."""
    bare: list[float] = []
    watched: list[float] = []
    busy: list[float] = []
    for _ in range(TURNS):
        bare.append(_run(seconds))
        tick()
        cost, share = _watched(seconds)
        watched.append(cost)
        busy.append(share)
        tick()
    idle = _idle(seconds)
    tick()
    return Sustained(min(bare), min(watched), sorted(busy)[TURNS // 2], idle)


def _run(seconds: float) -> float:
    engine = open_engine(Case(SELECT, SQLITE[False], False, 1))
    try:
        return _work(engine, seconds)
    finally:
        engine.dispose()


def _work(engine: Engine, seconds: float) -> float:
    once = sync_once(SELECT, engine)
    end, cpu, count = perf_counter() + seconds, process_time(), 0
    while perf_counter() < end:
        repeat(once, CHUNK)
        count += CHUNK
    return (process_time() - cpu) / count


def _watched(seconds: float) -> tuple[float, float]:
    watch = install()
    try:
        start, before = perf_counter(), _watcher_cpu(watch)
        cost = _run(seconds)
        return cost, (_watcher_cpu(watch) - before) / (perf_counter() - start)
    finally:
        watch.uninstall()


def _idle(seconds: float) -> float:
    watch = install()
    try:
        start, before = perf_counter(), _watcher_cpu(watch)
        time.sleep(seconds)
        return (_watcher_cpu(watch) - before) / (perf_counter() - start)
    finally:
        watch.uninstall()


def _watcher_cpu(watch: Watch) -> float:
    return watch.snapshot().process.watcher_cpu_seconds
