"""Compare the outcomes of two runs, test by test: ``compare.py BARE WATCHED SEEN``; ends with 1 where they differ."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

_MOST_LINES = 100


def main(bare_file: str, watched_file: str, seen_file: str) -> int:
    """Print what differs and the sum of it."""
    bare, watched = (json.loads(Path(name).read_text()) for name in (bare_file, watched_file))
    seen = json.loads(Path(seen_file).read_text())
    differing = sorted(key for key in bare.keys() | watched.keys() if bare.get(key) != watched.get(key))
    for key in differing[:_MOST_LINES]:
        print(f"  {key}: {bare.get(key, 'not run')} without poolwatch, {watched.get(key, 'not run')} with it")
    tests = Counter(outcome for key, outcome in bare.items() if key.endswith(" call"))
    print(f"  without poolwatch {dict(tests)}; with it {len(differing)} outcomes differ")
    print(f"  poolwatch saw {seen['leases']} leases; errors in its hooks: {seen['errors'] or 'none'}")
    for line in seen["complaints"]:
        print(f"  {line}")
    return int(bool(differing or seen["errors"]) or not tests or not seen["leases"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
