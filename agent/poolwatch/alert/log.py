"""One log line per opened, stronger or resolved finding, through ``logging`` (logger ``poolwatch.findings``).

A record carries the facts as attributes, as ``extra`` would; where OpenTelemetry is there, the span that the lease was
taken in is the current one meanwhile, so that handlers of its kind file the record under that trace.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from poolwatch.book import Change
from poolwatch.host.speech import Log, say
from poolwatch.model import Finding
from poolwatch.senses import flow

log = Log("poolwatch.findings")

LEVELS = {"proved": logging.ERROR, "probable": logging.WARNING, "suspected": logging.INFO}


def follow(changes: Iterable[Change], news: object) -> None:
    """Log what changed; repeats are only counted in the report."""
    for change, finding in changes:
        if change != "repeated":
            say(partial(_say, change, finding))


def _say(change: str, finding: Finding) -> None:
    level = logging.INFO if change == "resolved" else LEVELS[finding.grade]
    where = f" at {finding.site}" if finding.site else ""
    text = finding.resolution if change == "resolved" else finding.summary
    args = (finding.kind, finding.grade, change, where, finding.pool, text)
    place = (__file__, _say.__code__.co_firstlineno)
    with _within(finding):
        log.say_now(level, "%s %s %s%s on pool %s: %s", args, place, facts(change, finding))


def facts(change: str, finding: Finding) -> dict[str, str]:
    """Give the attributes of a record: what a machine sorts by."""
    known = {
        "poolwatch_change": change,
        "poolwatch_finding": finding.id,
        "poolwatch_kind": finding.kind,
        "poolwatch_grade": finding.grade,
        "poolwatch_pool": finding.pool,
    }
    traceparent = finding.traceparent
    if traceparent:
        known["trace_id"], known["span_id"] = traceparent.split("-")[1:3]
    return known


def _within(finding: Finding) -> AbstractContextManager[object]:
    if flow.within is None or not finding.traceparent:
        return nullcontext()
    return flow.within(finding.traceparent)
