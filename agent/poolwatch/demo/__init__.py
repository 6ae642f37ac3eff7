"""The demo: a shop on SQLite that sells correctly for a while, then leaks in every way that SQLite can show.

It uses poolwatch as any program would: ``import poolwatch; watch = poolwatch.install(...)``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the demo's flags."""
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="port of the page (default: any)")
    parser.add_argument(
        "--seconds", type=float, default=4.0, metavar="N", help="how long the shop sells first (default: 4)"
    )
    parser.add_argument(
        "--stay", type=float, default=0.0, metavar="N", help="how long the page stays up afterwards (default: 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo: 0 where every leak was found, 1 where one was missed, 130 after Ctrl-C."""
    from poolwatch.demo.play import play

    return play(args.port, args.seconds, args.stay)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with flags of its own; gives the exit status of ``run``."""
    parser = argparse.ArgumentParser(prog="poolwatch demo", description="A shop that sells, then leaks.")
    add_arguments(parser)
    return run(parser.parse_args(argv))
