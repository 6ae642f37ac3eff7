"""The command: ``python -m bench [all|speed|memory] [--quick] [--only TEXT] [--leases N] [--write PATH]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import budgets, leases, page
from bench.modes import has_otel
from bench.progress import Progress
from bench.speed import Speed, add_options, run_speed, run_speed_beside_otel
from bench.sustained import TURNS, sustained

LEASES = {False: 10_000_000, True: 1_000_000}
SUSTAINED_SECONDS = {False: 4.0, True: 1.0}


def main() -> None:
    """Measure what was asked for, print the tables, and write the page where a path is given."""
    options = _parser().parse_args()
    sections = _speed_sections(options) if options.part in ("all", "speed") else []
    if options.part in ("all", "memory"):
        sections += _memory_sections(options)
    print("\n\n".join(sections))
    if options.write:
        options.write.write_text(page.page(sections))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what poolwatch costs.")
    parser.add_argument("part", nargs="?", choices=("all", "speed", "memory"), default="all")
    add_options(parser)
    parser.add_argument(
        "--leases", type=int, metavar="N", help="leases of the memory part (10,000,000; quick: 1,000,000)"
    )
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the page there too")
    return parser


def _speed_sections(options: argparse.Namespace) -> list[str]:
    arguments = (options.quick, options.only, not options.no_postgres)
    here = run_speed(*arguments)
    beside = None if has_otel() else run_speed_beside_otel(*arguments)
    sections = [text for speed in (here, beside) if speed for text in _speed_pages(speed)]
    seconds = SUSTAINED_SECONDS[options.quick]
    progress = Progress(2 * TURNS + 1)
    progress.label("seconds on end")
    sections.append(page.sustained_section(sustained(seconds, progress.tick)))
    progress.close()
    return sections


def _speed_pages(speed: Speed) -> list[str]:
    engines = [result for result in speed.results if result.case.on_engine]
    beside = [result for result in speed.results if not result.case.on_engine]
    tables = [page.speed_section(speed.versions, engines)] if engines else []
    tables += [page.speed_section("Drivers, requests, spans and exporters", beside)] if beside else []
    lines = budgets.judge_speed(speed.results)
    return [*tables, page.budget_section("speed", lines)] if lines else tables


def _memory_sections(options: argparse.Namespace) -> list[str]:
    progress = Progress(22)
    progress.label("leases that come back")
    flat = leases.flat(options.leases or LEASES[options.quick], progress.tick)
    progress.label("live leases")
    lease_bytes = leases.live_lease_bytes()
    progress.tick()
    progress.label("scrape")
    scrape = leases.scrape()
    progress.tick()
    progress.close()
    lines = budgets.judge_memory(flat, lease_bytes, scrape)
    return [page.memory_section(flat, scrape), page.budget_section("memory and scrape", lines)]


if __name__ == "__main__":
    main()
