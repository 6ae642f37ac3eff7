"""A pytest plugin: poolwatch rides in the whole run, and the run may end only if poolwatch saw it without an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import poolwatch

_watch = poolwatch.install(interval=0.02, grace=0)


def pytest_unconfigure() -> None:
    """Write what the hooks saw: errors of ours, and how many leases went by, so that nobody compares bare with bare."""
    snapshot = _watch.snapshot()
    _watch.uninstall()
    seen = sum(pool.checkouts_total for pool in snapshot.pools)
    errors = "; ".join(f"{hook} {count} x" for hook, count in snapshot.process.hook_errors.items())
    line = f"poolwatch saw {seen} leases of {len(snapshot.pools)} pools; errors in hooks: {errors or 'none'}"
    Path(os.environ["POOLWATCH_UPSTREAM_SEEN"]).write_text(line + "\n")
    if errors or not seen:
        print(line, file=sys.stderr)
