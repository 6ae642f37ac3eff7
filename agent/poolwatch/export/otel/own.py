"""Providers of poolwatch's own, never global: for ``poolwatch run``, where ``OTEL_*`` asks for OTLP.

They are made in the launcher, which has no greenlets and does not fork: watched processes get no SDK and no threads.
Importing this brings the SDK along.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from poolwatch.export.otel import asked

_EXPORTERS = {
    "spans": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


def provider(signal: str) -> Any:
    """Make a provider that exports ``signal`` by OTLP; raises PoolwatchError, which says what to set or to install."""
    module, name = _EXPORTERS[signal]
    exporter = getattr(importlib.import_module(f"{asked.exporter(signal)}.{module}"), name)()
    return _MAKERS[signal](exporter)


def _tracers(exporter: Any) -> TracerProvider:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(exporter))
    return tracers


def _meters(exporter: Any) -> MeterProvider:
    return MeterProvider([PeriodicExportingMetricReader(exporter)], shutdown_on_exit=False)


def _loggers(exporter: Any) -> LoggerProvider:
    loggers = LoggerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return loggers


_MAKERS: dict[str, Callable[[Any], Any]] = {"spans": _tracers, "metrics": _meters, "logs": _loggers}
