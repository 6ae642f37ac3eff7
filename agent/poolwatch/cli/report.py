"""``poolwatch report``: reads a saved JSON report."""

from __future__ import annotations

import argparse
import sys

from poolwatch import text
from poolwatch.cli import options
from poolwatch.errors import PoolwatchError, ReportError
from poolwatch.report import spool

HELP = "show a saved JSON report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``report``."""
    parser.add_argument("file", metavar="FILE", help="a report in JSON, or - for standard input")
    parser.add_argument("--format", default="text", metavar="FORMAT", help="text or json (default: text)")


def run(args: argparse.Namespace) -> int:
    """Print the report; raises PoolwatchError for a file that is none."""
    options.one_of("--format", args.format, text.FORMATS)
    try:
        if args.file == "-":
            report = spool.checked(spool.parsed(sys.stdin.buffer.read()))
        else:
            report = spool.read_report(args.file)
    except ReportError as error:
        raise PoolwatchError(f"{args.file}: {error}") from error
    text.write(report, "-", args.format)
    return 0
