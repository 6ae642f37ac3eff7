"""One timed batch: so many operations by so many workers on an engine made for it.

The figure is the CPU time of the whole process (its watcher thread included): what else runs on the machine does not
count, and on an idle machine it is the wall-clock time of what does not wait. Wall-clock time is kept beside it.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from bench.cases import AsyncOnce, Case, Once, async_once, open_async_engine, open_engine, sync_once
from bench.rigs import open_async_rig, open_rig

Inspect = Callable[[Any], None]
"""Looks at the engine or rig of a batch after the timing."""

DEPTH = 20
"""Frames between a worker's start and the operation, as in a web application."""
WARM_UP = 30


@dataclass(frozen=True, slots=True)
class Sample:
    """What one operation cost in one batch, in seconds."""

    cpu: float
    wall: float


class _Stopwatch:
    """Reads both clocks once at the start and once at the end."""

    def __init__(self) -> None:
        self._wall = perf_counter()
        self._cpu = process_time()

    def sample(self, count: int) -> Sample:
        return Sample((process_time() - self._cpu) / count, (perf_counter() - self._wall) / count)


@dataclass(frozen=True, slots=True)
class Size:
    """How much a batch does: ``slices`` timed one by one, of ``count`` operations by all workers together."""

    slices: int
    count: int


def measure(case: Case, size: Size, inspect: Inspect) -> list[Sample]:
    """Run one batch and give what an operation cost in each of its slices.

    The engine or rig is made after the mode was entered and dies with the batch; ``inspect`` looks at it at the end.
    """
    gc.collect()
    return asyncio.run(_async_batch(case, size, inspect)) if case.is_async else _sync_batch(case, size, inspect)


def _sync_batch(case: Case, size: Size, inspect: Inspect) -> list[Sample]:
    with _open(case) as (subject, once):
        repeat(once, WARM_UP)
        samples = [_sync_slice(once, case.workers, size.count) for _ in range(size.slices)]
        inspect(subject)
        return samples


@contextmanager
def _open(case: Case) -> Iterator[tuple[Any, Once]]:
    if not case.on_engine:
        with open_rig(case) as rig:
            yield rig, rig.once
        return
    engine = open_engine(case)
    try:
        yield engine, sync_once(case.operation, engine)
    finally:
        engine.dispose()


def _sync_slice(once: Once, workers: int, count: int) -> Sample:
    return repeat(once, count) if workers == 1 else _in_threads(once, workers, max(1, count // workers))


def repeat(once: Once, count: int, depth: int = DEPTH) -> Sample:
    """Call ``once`` so many times, ``depth`` frames further down; give what one call cost."""
    if depth:
        return repeat(once, count, depth - 1)
    watch = _Stopwatch()
    for _ in range(count):
        once()
    return watch.sample(count)


def _in_threads(once: Once, workers: int, each: int) -> Sample:
    ready = threading.Barrier(workers + 1)

    def work() -> None:
        ready.wait()
        repeat(once, each)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    watch = _Stopwatch()
    ready.wait()
    for thread in threads:
        thread.join()
    return watch.sample(each * workers)


async def _async_batch(case: Case, size: Size, inspect: Inspect) -> list[Sample]:
    async with _open_async(case) as (subject, once):
        await _repeat_async(once, WARM_UP)
        samples = [
            await _async_slice(once, case.workers, max(1, size.count // case.workers)) for _ in range(size.slices)
        ]
        inspect(subject)
        return samples


@asynccontextmanager
async def _open_async(case: Case) -> AsyncIterator[tuple[Any, AsyncOnce]]:
    if not case.on_engine:
        async with open_async_rig(case) as rig:
            yield rig, rig.once
        return
    engine = await open_async_engine(case)
    try:
        yield engine.sync_engine, async_once(case.operation, engine)
    finally:
        await engine.dispose()


async def _async_slice(once: AsyncOnce, workers: int, each: int) -> Sample:
    watch = _Stopwatch()
    await asyncio.gather(*(_repeat_async(once, each) for _ in range(workers)))
    return watch.sample(each * workers)


async def _repeat_async(once: AsyncOnce, count: int) -> None:
    for _ in range(count):
        await once()
