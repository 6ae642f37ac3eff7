"""``poolwatch explain``: what a kind of finding means, whence it comes and how it is cured, on a terminal."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from poolwatch.errors import PoolwatchError

if TYPE_CHECKING:
    from poolwatch.kinds import Example, Kind

HELP = "say what a kind of finding means, whence it comes and how it is cured"
_MOST = 99
"""Lines of a text; none here has as many."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``explain``."""
    parser.add_argument("kind", nargs="?", metavar="KIND", help="as a report names it; without it, all are listed")


def run(args: argparse.Namespace) -> int:
    """Print one kind, or one line for each; raises PoolwatchError for a kind that does not exist."""
    from poolwatch.kinds import CATALOGUE

    if args.kind is None:
        lines = _listed(CATALOGUE.values())
    elif args.kind.lower() in CATALOGUE:
        lines = _explained(CATALOGUE[args.kind.lower()])
    else:
        raise PoolwatchError(f"{args.kind!r} is no kind of finding; use one of {', '.join(CATALOGUE)}")
    for line in lines:
        print(line)
    return 0


def _listed(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in kinds:
        yield f"{kind.name:<27}{', '.join(kind.grades)}"
        yield f"    {kind.short}"
    yield "\npoolwatch explain KIND says more of one."


def _explained(kind: Kind) -> Iterator[str]:
    yield f"{kind.name} -- {', '.join(kind.grades)}"
    yield from _facts("", kind.meaning.split("\n\n"))
    yield from _facts("Grade", (f"{grade} {when}" for grade, when in kind.grades.items() if when))
    yield from _facts("Causes", kind.causes)
    yield from _facts("Cure", (f"{case}: {text}" if case else text for case, text in kind.cures))
    yield from _facts("Resolved", [kind.resolved])
    yield from _facts("Options", [", ".join(kind.options)] if kind.options else [])
    yield from _facts("Alerts", (f"{name}: docs/runbooks/{name}.md" for name in kind.alerts))
    yield from _facts("More", (f"docs/{page}" for page in kind.pages.values()))
    if kind.example:
        yield from _compared(kind.example)


def _facts(label: str, texts: Iterable[str]) -> Iterator[str]:
    """Give each text with the label at the left of the first."""
    from poolwatch.text.words import fact

    for number, text in enumerate(texts):
        yield from (line.text for line in fact("" if number else label, text, most=_MOST))


def _compared(example: Example) -> Iterator[str]:
    flags = f", under `poolwatch run {example.flags}`" if example.flags else ""
    for title, program in ((f"This leads to it{flags}", example.leaking), ("This does not", example.mended)):
        yield f"\n{title}:\n"
        yield textwrap.indent(program, "    ").rstrip()
