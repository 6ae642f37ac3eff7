"""The command: ``python -m tests.load [NAME ...] [--requests N] [--clients N]``; status 1 where a run is not right."""

from __future__ import annotations

import argparse
import sys
import time

from tests.load.drive import Run, drive
from tests.load.systems import SYSTEMS
from tests.servers.postgres import postgres

_LINE_EVERY = 0.5


def main() -> int:
    """Drive the chosen applications one after the other, with a progress line, and print what came of each."""
    options = _arguments()
    right = True
    with postgres() as server:
        for system in [system for system in SYSTEMS if system.name in options.names]:
            line = Line(system.name, options.requests)
            run = drive(system, server.url("psycopg"), options.requests, options.clients, line.tick)
            line.clear()
            print(_words(system.name, run), flush=True)
            right = right and run.right
    return 0 if right else 1


def _arguments() -> argparse.Namespace:
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names)} (all)")
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="to each (10,000)")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="requests at the same time (8)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in names]
    if unknown:
        parser.error(f"{', '.join(unknown)} is not one of: {', '.join(names)}")
    options.names = options.names or names
    return options


class Line:
    """The progress line, on standard error; where nobody looks, nothing."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._done, self._drawn = 0, 0.0

    def tick(self) -> None:
        """Count one answer; of threads that count at once one may go uncounted, which a picture can bear."""
        self._done += 1
        if sys.stderr.isatty() and time.monotonic() - self._drawn > _LINE_EVERY:
            self._drawn = time.monotonic()
            print(f"\r\033[K{self._name}: {self._done:,} of {self._total:,}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _words(name: str, run: Run) -> str:
    head = f"{'ok ' if run.right else 'NOT'} {name}: {run.requests:,} requests in {run.seconds:.1f} s"
    counts = f"{len(run.wrong)} lost or wrong, {len(run.findings)} findings"
    lines = [f"{head}, {counts}"]
    for flow in sorted(run.expected.keys() | run.seen.keys()):
        sent, seen = run.expected.get(flow, (0, 0)), run.seen.get(flow, (0, 0))
        lines.append(f"      {flow}: sent {sent[0]:,} with {sent[1]:,} leases, reported {seen[0]:,} with {seen[1]:,}")
    lines += [f"      {text}" for text in (*run.wrong[:5], *run.findings, *run.failures)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
