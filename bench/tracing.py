"""OpenTelemetry's SDK as a program would set it up, with an exporter that drops what nobody is to have."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_takers: list[Any] = []
"""Exporters that get the spans of the providers made here."""
EXPORT_MILLISECONDS = 1000


@cache
def tracer_provider(sampled: bool) -> Any:
    """Give the provider whose spans are all sampled, or none."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Dropping(SpanExporter):
        """Takes spans and forgets them: what an exporter sends is not the instrumentation's cost."""

        def export(self, spans: Any) -> Any:
            for taker in tuple(_takers):
                taker.export(spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
    provider.add_span_processor(BatchSpanProcessor(Dropping(), schedule_delay_millis=EXPORT_MILLISECONDS))
    return provider


@contextmanager
def spans_to(exporter: Any) -> Iterator[None]:
    """Let an exporter have the spans; those that still wait at the end are dropped, as are those beyond the queue."""
    logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)  # it would say so again and again
    _takers.append(exporter)
    try:
        yield
    finally:
        _takers.remove(exporter)
        tracer_provider(True).force_flush()  # one that is being sent is not interrupted


@cache
def meter_provider() -> Any:
    """Give a provider whose metrics somebody reads."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    return MeterProvider([InMemoryMetricReader()])


@cache
def set_up() -> None:
    """Make the provider with sampled spans the program's own, once: it cannot be undone."""
    from opentelemetry import trace

    trace.set_tracer_provider(tracer_provider(True))


@cache
def set_up_metrics() -> Any:
    """Make a MeterProvider the program's own, once, and give its reader: it costs nothing while nobody reads."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader
