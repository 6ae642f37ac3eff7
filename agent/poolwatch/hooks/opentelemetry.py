"""OpenTelemetry: the span current at a checkout says which trace it belongs to. Nothing is exported here.

What is kept of a span is its context, an immutable tuple. The trace also names a flow that nobody else named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as runtime
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanContext, TraceFlags, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from poolwatch.host.guard import Guard
from poolwatch.ledger import Lease, Ledger
from poolwatch.ledger.leases import NOTHING_BUT_TOLD, NOTHING_MORE
from poolwatch.senses import flow

_HOOK = "opentelemetry"
_guard: Guard
_PARSER = TraceContextTextMapPropagator()


def install(ledger: Ledger, guard: Guard) -> None:
    """Let the ledger ask for the current span's context."""
    global _guard
    _guard = guard
    flow.current_trace = current_trace
    flow.note_trace = note_trace if _is_as_we_know_it() else _note_trace
    flow.within = within
    guard.add(_HOOK, _forget)


def _forget() -> None:
    flow.current_trace = flow.note_trace = flow.within = None


def current_trace() -> flow.Trace | None:
    """Give the context of the current span; None where there is none, or one of no trace."""
    try:
        trace = get_current_span().get_span_context()
        return trace if trace.trace_id else None
    except Exception as error:
        _guard.failed(_HOOK, error)
        return None


def note_trace(lease: Lease) -> None:
    """Note the context of the current span on a lease: the hot path, without a Python call of OpenTelemetry's but one.

    Reads the context variable and the tuple that a span context is; ``_is_as_we_know_it`` has looked.
    """
    try:
        span = _read().get(_KEY)
        if span is None:
            return
        trace = span.get_span_context()
        if trace[0]:
            lease.trace = trace
            if trace[3] & 1 and lease.more is NOTHING_MORE:
                lease.more = NOTHING_BUT_TOLD
    except Exception as error:
        _guard.failed(_HOOK, error)


def _note_trace(lease: Lease) -> None:
    """Do the same by public functions, for an OpenTelemetry that is made in another way."""
    lease.trace = current_trace()
    if flow.is_sampled(lease.trace) and lease.more is NOTHING_MORE:
        lease.more = NOTHING_BUT_TOLD


_variable: Any = getattr(getattr(runtime, "_RUNTIME_CONTEXT", None), "_current_context", None)
_read: Callable[[], Any] = getattr(_variable, "get", runtime.get_current)
_KEY = next((key for key, value in set_span_in_context(INVALID_SPAN, Context()).items() if value is INVALID_SPAN), "")


def _is_as_we_know_it() -> bool:
    """Tell whether the current context and a span's context are what the quick way takes them for."""
    known = SpanContext(1, 2, False, TraceFlags(3))
    is_tuple = isinstance(known, tuple) and (known[0], known[3]) == (1, 3)
    return is_tuple and bool(_KEY) and isinstance(_variable, ContextVar) and _read() is runtime.get_current()


@contextmanager
def within(traceparent: str) -> Iterator[None]:
    """Make the span of ``traceparent`` the current one inside the block."""
    token = runtime.attach(_PARSER.extract({"traceparent": traceparent}, Context()))
    try:
        yield
    finally:
        runtime.detach(token)
