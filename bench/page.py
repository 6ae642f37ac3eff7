"""The results as Markdown: what goes to standard output and, with how it was measured, into docs/benchmark.md."""

from __future__ import annotations

from collections.abc import Sequence

from bench import machine
from bench.budgets import Line, times_empty, times_less
from bench.leases import Flat, Scrape
from bench.modes import BARE, EMPTY, OTEL, POOLWATCH
from bench.rounds import LOW, Result
from bench.sustained import Sustained

HOW = f"""\
Written by `python -m bench --write docs/benchmark.md` (`make bench` prints the same). Do not edit the figures by hand.

Every mode runs in one interpreter, in short batches that take turns; each batch has an engine of its own, and a batch
proves that it ran in its mode: the bare one looks for listeners and patches left behind, the watched one for the
checkouts that poolwatch counted. A batch is cut into slices of 0.7 ms (threads: 6 ms). A figure is the
{LOW * 100:.0f} % quantile over all slices of a mode, in µs of CPU time of the whole process for one operation: what it
costs while nothing else disturbs. After ± stands half the interquartile range of the slices: how restless the machine
was. Additions much smaller than that are noise. `wall` is the wall-clock time of the watched operation.

* *bare*: nothing attached.
* *empty listeners*: `checkout`, `checkin` and `do_execute` listeners that do nothing, SQLAlchemy's own charge.
* *poolwatch*: everything on, as `install()` gives it.
* *OpenTelemetry*: its SQLAlchemy instrumentation with the SDK, a metric reader and an exporter that drops
  its spans; it runs on SQLAlchemy 2.0 only.

The drivers' own pools lend one connection; `acquire, release` of asyncpg resets it on the server. A `query` goes over
HTTP to a GraphQL server on loopback. A `request without a lease` is what the hook of the framework adds to a request of
Starlette (asgi) or Flask (wsgi) that takes no connection. A span is current while a connection is checked out.

Exporters work once a second, so the rows with one are cut into slices of a second, and their figure is the least of few
slices: all that the watcher and the exporter's threads do is in it, at as many leases a second as one thread can take.
*Scraped*: `/metrics` of `serve`. *Sent by OTLP*: the metrics and, of sampled traces, a span for each lease, over HTTP;
what OpenTelemetry's own queue (2048 spans) does not take is dropped, as in any program. Scraper and receiver are
processes beside, whose CPU time is not counted; bare exports nothing.

SQLite is in memory; every operation of a thread runs 20 frames deep.
"""


def page(sections: Sequence[str]) -> str:
    """Give the whole of docs/benchmark.md."""
    where = f"Measured on {machine.today()}: {machine.cpu()}; {machine.kernel()}."
    return "\n\n".join(["# Benchmark", HOW.rstrip(), where, *sections]) + "\n"


def speed_section(title: str, results: Sequence[Result]) -> str:
    """Give one table of operations; all its results have the same modes."""
    modes = list(results[0].samples)
    others = [mode for mode in modes if mode != BARE]
    head = ["operation", "database", "by", "bare", *(f"+ {mode}" for mode in others), *_factor_heads(modes)]
    rows = [_speed_row(result, others) for result in results]
    return f"## {title}\n\n" + _table(head, rows)


def _factor_heads(modes: Sequence[str]) -> list[str]:
    heads = ["times empty"] if {EMPTY, POOLWATCH} <= set(modes) else []
    heads += ["wall"] if POOLWATCH in modes else []
    return heads + (["less than OpenTelemetry"] if {OTEL, POOLWATCH} <= set(modes) else [])


def _speed_row(result: Result, others: Sequence[str]) -> list[str]:
    case = result.case
    cells = [case.operation, case.database, case.workers_text, _figure(result.low(BARE), result.spread(BARE))]
    cells += ["+ " + _figure(result.added(mode), result.spread(mode)) for mode in others]
    if {EMPTY, POOLWATCH} <= set(others):
        cells.append(_factor(times_empty(result), result))
    if POOLWATCH in others:
        cells.append(f"{result.wall(POOLWATCH) * 1e6:.1f}")
    if {OTEL, POOLWATCH} <= set(others):
        cells.append(f"{times_less(result):.0f} x")
    return cells


def _figure(seconds: float, spread: float) -> str:
    return f"{seconds * 1e6:.2f} ± {spread * 1e6:.1f}"


def _factor(factor: float, result: Result) -> str:
    """Leave the factor out where empty listeners add less than one part in a hundred: there it says nothing."""
    return f"{factor:.1f} x" if result.added(EMPTY) > result.low(BARE) / 100 else "-"


def sustained_section(result: Sustained) -> str:
    """Give the long run: garbage collections and the watcher's CPU are in these figures."""
    rows = [
        ["`connect, select 1, close`, bare", f"{result.bare * 1e6:.2f} µs"],
        [
            "the same under poolwatch",
            f"{result.poolwatch * 1e6:.2f} µs (+ {(result.poolwatch - result.bare) * 1e6:.2f})",
        ],
        ["the watcher's CPU per second meanwhile", f"{result.watcher_busy * 1e3:.2f} ms"],
        ["the watcher's CPU per second, nothing running", f"{result.watcher_idle * 1e3:.2f} ms"],
    ]
    return "## Seconds on end, watcher included\n\n" + _table(["CPU", "figure"], rows)


def memory_section(result: Flat, scrape: Scrape) -> str:
    """Give what stays in memory after many leases, and what the whole snapshot of many live ones takes."""
    rows = [
        ["leases taken and returned", f"{result.leases:,} in {result.seconds:.0f} s"],
        ["Python memory blocks more at the end", f"{result.block_growth:,}"],
        ["resident memory more at the end", f"{result.rss_growth / 1024:,.0f} KiB"],
        ["resident memory more at the worst moment", f"{result.rss_peak_growth / 1024:,.0f} KiB"],
        ["snapshot of 100 pools with each of 10,000 live leases", f"{scrape.snapshot * 1e3:.1f} ms"],
    ]
    return "## Memory\n\n" + _table(["growth counts from the first tenth of the leases on", "figure"], rows)


def budget_section(title: str, lines: Sequence[Line]) -> str:
    """Give the figures that have a budget, each with ok or OVER."""
    rows = [[what, figure, budget, "ok" if inside else "**OVER**"] for what, figure, budget, inside in lines]
    return f"## Budgets: {title}\n\n" + _table(["what", "figure", "budget", ""], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
