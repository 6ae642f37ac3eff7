"""``poolwatch demo``: a shop that sells correctly for a while, then leaks in every way it can."""

from __future__ import annotations

import argparse

from poolwatch import demo

HELP = "run an embedded shop that leaks, and see what poolwatch says of it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the demo."""
    demo.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    return demo.run(args)
