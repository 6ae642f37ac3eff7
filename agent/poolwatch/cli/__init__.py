"""The ``poolwatch`` command: a table of small commands, one module each.

A command has ``HELP``, ``add_arguments(parser)`` and ``run(args) -> int``; what it needs beyond that it imports
when it runs, so that ``--help`` works wherever Python does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from poolwatch import __version__
from poolwatch.cli import agent, alert, demo, doctor, explain, report, run, streams, top
from poolwatch.errors import PoolwatchError

EXAMPLES = """\
examples:
  poolwatch run -- python app.py                      watch a program, report at its end
  poolwatch run -- gunicorn app:app -w 4              and all its Python children
  poolwatch run --fail-on probable -- pytest -x       exit with 3 where something leaks
  poolwatch run --serve 127.0.0.1:9187 -- python app.py
                                                      with Prometheus metrics while it runs
  poolwatch top                                       look at what runs under `poolwatch run` now
  poolwatch agent --dir /run/shop                     serve all processes that report to a folder
  poolwatch alert test                                try the webhooks and Alertmanagers
  poolwatch report leaks.json                         read a saved JSON report
  poolwatch explain leak.owner_ended                  what a finding means, and how it is cured
  poolwatch doctor                                    what is hooked here, and what is not and why
"""


class Command(Protocol):
    """What a module of this package offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags of the command."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; gives the exit status."""


COMMANDS: dict[str, Command] = {
    "run": run,
    "report": report,
    "top": top,
    "explain": explain,
    "doctor": doctor,
    "agent": agent,
    "alert": alert,
    "demo": demo,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit status, 2 for an option or value that is not allowed."""
    streams.open_all()
    words, command = _split(list(sys.argv[1:] if argv is None else argv))
    args = parser().parse_args(words)
    if command:
        args.command = [*args.command, "--", *command] if args.command else command
    try:
        status = COMMANDS[args.name].run(args)
        sys.stdout.flush()
        return status
    except PoolwatchError as error:
        print(f"poolwatch {args.name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        streams.give_up(sys.stdout)
        return 1
    except OSError as error:
        streams.give_up(sys.stdout)
        print(f"poolwatch {args.name}: {error}", file=sys.stderr)
        return 1


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Cut the command line of ``run`` at its first ``--``: argparse must not look at what follows."""
    if words[:1] != ["run"] or "--" not in words:
        return words, []
    cut = words.index("--")
    return words[:cut], words[cut + 1 :]


class _CommandParser(argparse.ArgumentParser):
    """Answers itself for what it does not know, with the usage of its own command."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    top_level = argparse.ArgumentParser(
        prog="poolwatch",
        description="Finds leaked and wrongly shared database connections inside a running Python program.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top_level.add_argument("--version", action="version", version=f"poolwatch {__version__}")
    commands = top_level.add_subparsers(dest="name", metavar="COMMAND", required=True, parser_class=_CommandParser)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=command.HELP,
            description=command.HELP[0].upper() + command.HELP[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_arguments(sub)
    return top_level
