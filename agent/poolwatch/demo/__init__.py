"""The demo: a shop on SQLite that sells correctly for a while, then leaks in every way that SQLite can show.

It uses poolwatch as any program would: ``import poolwatch; watch = poolwatch.install(...)``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from poolwatch.config.values import number, whole

_LONGEST = 86400
"""Seconds that the shop may sell, or its page stay."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the demo's flags."""
    port = _checked(whole(0, 65535), "a whole number from 0 to 65535")
    seconds = _checked(number(0, _LONGEST), f"a number from 0 to {_LONGEST}")
    parser.add_argument("--port", type=port, default=0, metavar="PORT", help="port of the page (default: any)")
    parser.add_argument(
        "--seconds", type=seconds, default=4.0, metavar="N", help="how long the shop sells first (default: 4)"
    )
    parser.add_argument(
        "--stay", type=seconds, default=0.0, metavar="N", help="how long the page stays up afterwards (default: 0)"
    )


def _checked(parse: Callable[[object], Any], allowed: str) -> Callable[[str], Any]:
    """Give ``parse`` for argparse: what it refuses is told with what is allowed."""

    def check(given: str) -> Any:
        try:
            return parse(given)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{given!r} is not allowed; use {allowed}") from error

    return check


def run(args: argparse.Namespace) -> int:
    """Run the demo: 0 where every leak was found, 1 where one was missed, 130 after Ctrl-C."""
    from poolwatch.demo.play import play

    return play(args.port, args.seconds, args.stay)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with flags of its own; gives the exit status of ``run``."""
    parser = argparse.ArgumentParser(prog="poolwatch demo", description="A shop that sells, then leaks.")
    add_arguments(parser)
    return run(parser.parse_args(argv))
