"""A pytest plugin: poolwatch rides in the whole run, and the run may end only if poolwatch saw it without an error."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from pathlib import Path

import poolwatch


class _Complaints(logging.Handler):
    """Keeps what poolwatch says of its own hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(record.getMessage())


_complaints = _Complaints()
_watch = poolwatch.install(interval=0.02, grace=0)
_seen: Counter[str] = Counter()


def pytest_configure() -> None:
    """Listen to the hooks' log alone: findings have a log of their own, and these tests leak on purpose."""
    logging.getLogger("poolwatch").addHandler(_complaints)
    logging.getLogger("poolwatch.findings").propagate = False


def _count() -> None:
    snapshot = _watch.snapshot()
    _watch.uninstall()
    _seen["leases"] += sum(site.checkouts_total for site in snapshot.sites)
    _seen.update({f"errors in {hook}": count for hook, count in snapshot.process.hook_errors.items()})


def pytest_unconfigure() -> None:
    """Write what the hooks saw and what failed in them, so that nobody compares bare with bare."""
    _count()
    seen = {"leases": _seen.pop("leases"), "errors": dict(_seen), "complaints": sorted(set(_complaints.lines))}
    Path(os.environ["POOLWATCH_UPSTREAM_SEEN"]).write_text(json.dumps(seen))
