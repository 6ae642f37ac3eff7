"""OpenTelemetry: the trace id of the current span names a flow that nobody else named. Nothing is exported here."""

from __future__ import annotations

from opentelemetry.context import get_current
from opentelemetry.trace.propagation import _SPAN_KEY

from poolwatch.guard import Guard
from poolwatch.ledger import Ledger
from poolwatch.senses import flow

_HOOK = "opentelemetry"
_guard: Guard


def install(ledger: Ledger, guard: Guard) -> None:
    """Let the ledger ask for the trace id."""
    global _guard
    _guard = guard
    flow.trace_id = trace_id
    guard.add(_HOOK, _forget)


def _forget() -> None:
    flow.trace_id = None


def trace_id() -> int:
    """Give the trace id of the current span, 0 where there is none."""
    try:
        span = get_current().get(_SPAN_KEY)
        return int(span.get_span_context().trace_id) if span is not None else 0  # type: ignore[attr-defined]
    except Exception as error:
        _guard.failed(_HOOK, error)
        return 0
