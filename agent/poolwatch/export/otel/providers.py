"""Where telemetry goes: the providers that the program has set up, looked for without importing or making any."""

from __future__ import annotations

import sys
from typing import Any

_GLOBALS = {
    "spans": ("opentelemetry.trace", "_TRACER_PROVIDER", "get_tracer_provider"),
    "metrics": ("opentelemetry.metrics._internal", "_METER_PROVIDER", "get_meter_provider"),
    "logs": ("opentelemetry._logs._internal", "_LOGGER_PROVIDER", "get_logger_provider"),
}
"""Signal to the module that has its global provider, the variable, and the public function that gives it.

The function may make a provider where ``OTEL_PYTHON_*_PROVIDER`` names one, and then the program could not set its own.
"""
_API = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")
_ABSENT = object()
SCOPE = "poolwatch"
"""Name of the instrumentation scope."""


def of_program(signal: str) -> Any:
    """Give the provider that the program has set for ``signal``; None while there is none but the API's stand-ins."""
    module, variable, getter = _GLOBALS[signal]
    place = sys.modules.get(module)
    if place is None or getattr(place.__spec__, "_initializing", False):
        return None  # not there yet, or being imported by another thread
    provider = getattr(place, variable, _ABSENT)
    if provider is _ABSENT:
        provider = getattr(place, getter)()
    return None if provider is None or type(provider).__module__.startswith(_API) else provider
