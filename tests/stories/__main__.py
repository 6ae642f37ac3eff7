"""Run the stories: ``python -m tests.stories [-k PATTERN] [-j N] [--bare] [-v]``; status 1 where one differs."""

from __future__ import annotations

import argparse
import re
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.stories.catalogue import ALL
from tests.stories.databases import serving
from tests.stories.judge import Outcome
from tests.stories.runner import run
from tests.stories.story import Story
from tests.stories.tally import tally


def main() -> int:
    """Run the chosen stories, print a table and the two numbers."""
    options = _arguments()
    stories = _chosen(options.pattern)
    outcomes = []
    with serving(story.database for story in stories) as servers, ThreadPoolExecutor(options.jobs) as executor:
        for outcome in executor.map(lambda story: run(story, servers, options.bare), stories):
            _print(outcome, options.verbose)
            outcomes.append(outcome)
    differ = [outcome.story.name for outcome in outcomes if not outcome.ok]
    print(f"\n{len(differ)} differ: {' '.join(differ)}" if differ else "\nall as told")
    print("run bare: nothing was looked for" if options.bare else tally(outcomes))
    return 1 if differ else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stories", description=__doc__)
    parser.add_argument(
        "-k", dest="pattern", default="", help="a regular expression on the names, such as fork.*psycopg"
    )
    parser.add_argument("-j", dest="jobs", type=int, default=4, help="how many at the same time")
    parser.add_argument("-v", dest="verbose", action="store_true", help="print the output of those that differ")
    parser.add_argument("--bare", action="store_true", help="without the monitor: only exit status and output")
    return parser.parse_args()


def _chosen(pattern: str) -> list[Story]:
    return [story for story in ALL if re.search(pattern, story.name) and story.runs_here]


def _print(outcome: Outcome, verbose: bool) -> None:
    mark = "ok " if outcome.ok else "NOT"
    print(f"{mark} {outcome.seconds:5.1f} s  {outcome.story.name}", flush=True)
    for word, texts in (("problem", outcome.problems), ("missed", outcome.missed), ("alarm", outcome.false_alarms)):
        for text in texts:
            print(f"      {word}: {text}")
    if verbose and not outcome.ok:
        print("      | " + outcome.output[-3000:].replace("\n", "\n      | "))


if __name__ == "__main__":
    sys.exit(main())
