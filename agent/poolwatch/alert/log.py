"""One log line per opened, stronger or resolved finding, through ``logging`` (logger ``poolwatch``)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from poolwatch.findings import Change

log = logging.getLogger("poolwatch.findings")

_LEVELS = {"proved": logging.ERROR, "probable": logging.WARNING, "suspected": logging.INFO}


def follow(changes: Iterable[Change], news: object) -> None:
    """Log what changed; repeats are only counted in the report."""
    for change, finding in changes:
        if change == "repeated":
            continue
        where = f" at {finding.site}" if finding.site else ""
        text = finding.resolution if change == "resolved" else finding.summary
        level = logging.INFO if change == "resolved" else _LEVELS[finding.grade]
        log.log(level, "%s %s %s%s on pool %s: %s", finding.kind, finding.grade, change, where, finding.pool, text)
