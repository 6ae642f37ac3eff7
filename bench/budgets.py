"""The budgets of docs/benchmark.md, and whether a figure is inside."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases import ACQUIRE, CHECKOUT, GETCONN, GQL, REQUEST, SELECT, Case
from bench.leases import Flat, Scrape
from bench.modes import BARE, EMPTY, OTEL, POOLWATCH
from bench.rounds import Result

TIMES_EMPTY = {CHECKOUT: 4.0, SELECT: 3.0}
ADDED_SECONDS = {GETCONN: 4e-6, ACQUIRE: 6e-6, REQUEST: 10e-6}
ADDED_TO_BARE = {CHECKOUT: (2.5e-6, 3.9e-6), SELECT: (6e-6, 24e-6)}
"""Seconds at most, and what the bare operation takes on the machine that the budget was made for."""
TIMES_LESS_THAN_OTEL = 10.0
BYTES_PER_LEASE = 1024.0
SCRAPE_SECONDS = 0.05
STALL_MARGIN_SECONDS = 0.01
"""Two turns of the interpreter lock more than a thread of plain Python costs anyway."""
BLOCKS_PER_LEASE = 0.01
"""Python memory blocks that may stay for a lease that came back: what is kept by mistake keeps one or more."""

Line = tuple[str, str, str, bool]
"""What is judged, its figure, its budget, and whether the figure is inside."""


def judged(case: Case) -> bool:
    """Tell whether a case has budgets: two operations on SQLite in one thread, and most beside engines."""
    if not case.on_engine:
        return case.operation in ADDED_SECONDS or case.operation == GQL
    plain = not case.is_async and case.workers == 1 and case.url.startswith("sqlite")
    return plain and case.operation in TIMES_EMPTY


def times_empty(result: Result) -> float:
    """Give what poolwatch adds as a multiple of what empty listeners add; infinite where noise hides the latter."""
    empty = result.added(EMPTY)
    return result.added(POOLWATCH) / empty if empty > 0 else float("inf")


def times_less(result: Result) -> float:
    """Give how many times less poolwatch adds than OpenTelemetry's instrumentation without sampling."""
    ours = result.added(POOLWATCH)
    return result.added(OTEL) / ours if ours > 0 else float("inf")


def judge_speed(results: Sequence[Result]) -> list[Line]:
    """Judge each figure of a speed run that has a budget."""
    return [line for result in results if judged(result.case) for line in _judge_case(result)]


def _judge_case(result: Result) -> list[Line]:
    name = result.case.operation
    if not result.case.on_engine:
        name = f"{name} ({result.case.database}, {result.case.workers_text})"
        return [_judge_noise(name, result)] if result.case.operation == GQL else [_judge_added(name, result)]
    ratio, most = times_empty(result), TIMES_EMPTY[name]
    lines = [
        (f"{name}: times empty listeners", f"{ratio:.1f} x", f"at most {most:g} x", ratio <= most),
        _judge_added_to_bare(name, result),
    ]
    if OTEL in result.samples:
        less = times_less(result)
        budget_text = f"at least {TIMES_LESS_THAN_OTEL:g} x"
        lines.append((f"{name}: less than OpenTelemetry", f"{less:.1f} x", budget_text, less >= TIMES_LESS_THAN_OTEL))
    return lines


def _judge_added(name: str, result: Result) -> Line:
    added, budget = result.added(POOLWATCH), ADDED_SECONDS[result.case.operation]
    return f"{name}: added", f"{added * 1e6:.2f} µs", f"at most {budget * 1e6:g} µs", added <= budget


def _judge_added_to_bare(name: str, result: Result) -> Line:
    """Judge what is added as it would be where the bare operation is as fast as on the budget's machine."""
    most, bare = ADDED_TO_BARE[name]
    added = result.added(POOLWATCH) * bare / result.low(BARE)
    what = f"{name}: added, where the bare operation takes {bare * 1e6:g} µs"
    return what, f"{added * 1e6:.2f} µs", f"at most {most * 1e6:g} µs", added <= most


def _judge_noise(name: str, result: Result) -> Line:
    """Judge what shall not be measurable: it is smaller than what bare slices differ by among themselves."""
    added, noise = result.added(POOLWATCH), result.spread(BARE)
    return f"{name}: added", f"{added * 1e6:.2f} µs", f"not measurable (± {noise * 1e6:.1f} µs)", added <= noise


def judge_memory(flat: Flat, lease_bytes: float, scrape: Scrape) -> list[Line]:
    """Judge memory, the scrape and the stall beside it."""
    stall = scrape.plain_stall + STALL_MARGIN_SECONDS
    per_lease = flat.block_growth / flat.leases
    return [
        (
            f"memory blocks kept per lease over {flat.leases:,} leases",
            f"{per_lease:.6f}",
            f"at most {BLOCKS_PER_LEASE:g}",
            per_lease <= BLOCKS_PER_LEASE,
        ),
        (
            "bytes per live lease, 10,000 live",
            f"{lease_bytes:.0f}",
            f"at most {BYTES_PER_LEASE:.0f}",
            lease_bytes <= BYTES_PER_LEASE,
        ),
        _judge_time("scrape of 100 pools with 10,000 live leases", scrape.exposition, SCRAPE_SECONDS),
        _judge_time(
            f"longest stall of a busy thread meanwhile ({scrape.plain_stall * 1e3:.1f} ms beside plain Python)",
            scrape.stall,
            stall,
        ),
    ]


def _judge_time(what: str, seconds: float, budget: float) -> Line:
    return what, f"{seconds * 1e3:.1f} ms", f"at most {budget * 1e3:.1f} ms", seconds <= budget
