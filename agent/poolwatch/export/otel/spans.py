"""Spans of what happened in sampled traces: leases and waits, made when they are over, and findings as they open."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from time import monotonic_ns, time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from poolwatch import __version__
from poolwatch.book import Change
from poolwatch.export.otel.attributes import Attributes, of_finding, of_owner, of_place
from poolwatch.export.otel.providers import SCOPE
from poolwatch.ledger import Lease, Pool, Wait
from poolwatch.model import Finding

_MOST_NOTES = 1000
_MOST_PLACES = 10_000
_NOWHERE = Context()
_PARSER = TraceContextTextMapPropagator()


class Spans:
    """Tells one program's tracer provider. Everything here runs in the courier's thread."""

    def __init__(self) -> None:
        self._notes: OrderedDict[int, list[tuple[int, Finding]]] = OrderedDict()
        """By id of a lease that is out: what was found on it, and when (Unix nanoseconds)."""
        self._places: dict[tuple[int, int, int], tuple[Any, Attributes]] = {}
        """With each its code object, whose id is then not reused."""
        self._provider: Any = None
        self._tracer: Tracer | None = None

    def tell(self, provider: Any, changes: Iterable[Change], leases: Iterable[Lease], waits: Iterable[Wait]) -> None:
        """Make the spans of one look; the leases and waits are over, and of sampled traces."""
        tracer = self._of(provider)
        since = boot_time()
        for change, finding in changes:
            if change == "opened":
                self._note(finding, time_ns())
                _finding(tracer, finding)
        for lease in leases:
            self._lease(tracer, lease, since)
        for wait in waits:
            self._wait(tracer, wait, since)
        for change, finding in changes:
            if change == "resolved":
                for subject in finding.subjects:
                    self._notes.pop(subject, None)

    def _of(self, provider: Any) -> Tracer:
        if self._tracer is None or provider is not self._provider:
            self._provider, self._tracer = provider, provider.get_tracer(SCOPE, __version__)
        return self._tracer

    def _note(self, finding: Finding, now: int) -> None:
        for subject in finding.subjects:
            self._notes.setdefault(subject, []).append((now, finding))
        while len(self._notes) > _MOST_NOTES:
            self._notes.popitem(last=False)

    def _lease(self, tracer: Tracer, lease: Lease, since: int) -> None:
        pool, site = lease.conn.pool, lease.site
        attributes = self._place(pool, site.code, site.offset) | of_owner(lease.owner)
        attributes["poolwatch.statements"] = lease.statements
        attributes["poolwatch.busy_seconds"] = lease.busy
        if lease.more.scope is not None:
            attributes["poolwatch.scope"] = lease.more.scope.name
        if lease.user is not lease.owner:
            attributes["poolwatch.user"] = f"{lease.user.kind} {lease.user.rename()}"
        span = tracer.start_span(
            f"lease {pool.name}", _under(lease.trace), attributes=attributes, start_time=since + int(lease.taken * 1e9)
        )
        if self._notes:
            for at, finding in self._notes.pop(lease.id, ()):
                span.add_event(finding.kind, of_finding(finding), at)
        span.end(since + int(lease.returned * 1e9))

    def _wait(self, tracer: Tracer, wait: Wait, since: int) -> None:
        code, offset = wait.stack[0] if wait.stack else (None, 0)
        span = tracer.start_span(
            f"wait {wait.pool.name}",
            _under(wait.trace),
            attributes=self._place(wait.pool, code, offset) | of_owner(wait.owner),
            start_time=since + int(wait.since * 1e9),
        )
        if wait.timed_out:
            span.set_status(Status(StatusCode.ERROR, f"timed out after {wait.until - wait.since:.1f} s"))
        span.end(since + int(wait.until * 1e9))

    def _place(self, pool: Pool, code: Any, offset: int) -> Attributes:
        """Give the attributes that all leases of a line and pool share."""
        key = (pool.key, id(code), offset)
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            known = self._places[key] = code, of_place(pool, code, offset)
        return known[1]


def boot_time() -> int:
    """Give the Unix time (nanoseconds) at which the monotonic clock was 0: the quietest of a few measurements."""
    readings = []
    for _ in range(5):
        before, now, after = monotonic_ns(), time_ns(), monotonic_ns()
        readings.append((after - before, now - (before + after) // 2))
    return min(readings)[1]


def _under(trace: Any) -> Context:
    return set_span_in_context(NonRecordingSpan(trace), _NOWHERE)


def _finding(tracer: Tracer, finding: Finding) -> None:
    """Make the span of a finding that opened. It begins a trace; where the sampler drops that, it joins its own."""
    origin = _origin(finding)
    links = [Link(origin)] if origin is not None else []
    attributes = of_finding(finding)
    span: Span = tracer.start_span(finding.kind, _NOWHERE, attributes=attributes, links=links)
    if origin is not None and not span.is_recording():
        span = tracer.start_span(finding.kind, _under(origin), attributes=attributes, links=links)
    span.set_status(Status(StatusCode.ERROR, finding.summary))
    span.end()


def _origin(finding: Finding) -> SpanContext | None:
    """Give the span that was current where the first sampled lease of a finding was taken."""
    for owner in finding.owners:
        if owner.traceparent:
            origin = get_current_span(_PARSER.extract({"traceparent": owner.traceparent})).get_span_context()
            if origin.trace_flags.sampled:
                return origin
    return None
