"""A log record for each finding through a LoggerProvider, in the trace it came from."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import time_ns
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from poolwatch import __version__
from poolwatch.book import Change
from poolwatch.export.otel.attributes import of_finding
from poolwatch.export.otel.providers import SCOPE
from poolwatch.model import Finding

LOGGER = "poolwatch.findings"
"""Where findings are logged by ``logging`` too."""
_SEVERITIES = {"proved": SeverityNumber.ERROR, "probable": SeverityNumber.WARN, "suspected": SeverityNumber.INFO}
_PARSER = TraceContextTextMapPropagator()


def tell(provider: Any, changes: Iterable[Change]) -> None:
    """Emit what changed, but for repeats; nothing where ``logging`` brings its records to OpenTelemetry itself."""
    if _bridged():
        return
    logger = provider.get_logger(SCOPE, __version__)
    for change, finding in changes:
        if change != "repeated":
            logger.emit(_record(change, finding))


def _bridged() -> bool:
    """Tell whether a handler on the way of our logger is OpenTelemetry's."""
    logger: logging.Logger | None = logging.getLogger(LOGGER)
    while logger is not None:
        if any(type(handler).__module__.startswith("opentelemetry.") for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _record(change: str, finding: Finding) -> LogRecord:
    severity = SeverityNumber.INFO if change == "resolved" else _SEVERITIES[finding.grade]
    context = Context()
    if finding.traceparent:
        context = _PARSER.extract({"traceparent": finding.traceparent}, context)
    return LogRecord(
        timestamp=time_ns(),
        context=context,
        severity_number=severity,
        severity_text=severity.name,
        body=finding.resolution if change == "resolved" else finding.summary,
        attributes=of_finding(finding) | {"poolwatch.finding.change": change},
        event_name="poolwatch.finding",
    )
