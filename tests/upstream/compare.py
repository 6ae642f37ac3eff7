"""Compare the outcomes of two runs, test by test: ``compare.py BARE WATCHED SEEN``; ends with 1 where they differ."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path


def main(bare_file: str, watched_file: str, seen_file: str) -> int:
    """Print what differs and the sum of it."""
    bare, watched = (json.loads(Path(name).read_text()) for name in (bare_file, watched_file))
    seen = Path(seen_file).read_text().strip()
    differing = sorted(key for key in bare.keys() | watched.keys() if bare.get(key) != watched.get(key))
    for key in differing:
        print(f"  {key}: {bare.get(key, 'not run')} without poolwatch, {watched.get(key, 'not run')} with it")
    tests = Counter(outcome for key, outcome in bare.items() if key.endswith(" call"))
    print(f"  {dict(tests)} without poolwatch; {len(differing)} outcomes differ with it; {seen}")
    watched_well = " saw 0 " not in f" {seen} " and seen.endswith("none")
    return int(bool(differing) or not tests or not watched_well)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
