"""OpenTelemetry's SDK as a program would set it up, with an exporter that drops everything."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def tracer_provider(sampled: bool) -> Any:
    """Give the provider whose spans are all sampled, or none."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Dropping(SpanExporter):
        """Takes spans and forgets them: what an exporter sends is not the instrumentation's cost."""

        def export(self, spans: Any) -> Any:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
    provider.add_span_processor(BatchSpanProcessor(Dropping()))
    return provider


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
