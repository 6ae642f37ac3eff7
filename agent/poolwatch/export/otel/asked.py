"""What the standard ``OTEL_*`` variables ask for; they count for ``poolwatch run``."""

from __future__ import annotations

import os
from importlib.util import find_spec

from poolwatch.errors import PoolwatchError

SIGNALS = ("metrics", "spans", "logs")
_PACKAGES = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
}
_NAMES = {"spans": "TRACES", "metrics": "METRICS", "logs": "LOGS"}


def for_otlp(signal: str) -> bool:
    """Tell whether ``signal`` is to be sent by OTLP."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = _exporters(signal)
    if exporters:
        return any(name.startswith("otlp") for name in exporters)
    endpoints = f"OTEL_EXPORTER_OTLP_{_NAMES[signal]}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    return any(os.environ.get(name) for name in endpoints)


def exporter(signal: str) -> str:
    """Give the package of the exporter asked for; raises PoolwatchError, which says what to set or to install."""
    wanted = _protocol(signal)
    if wanted and wanted not in _PACKAGES:
        raise PoolwatchError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {wanted!r} is not allowed; use {' or '.join(_PACKAGES)}")
    for package in [_PACKAGES[wanted]] if wanted else _PACKAGES.values():
        if _is_there(package):
            return package
    missing = _PACKAGES[wanted or "http/protobuf"].replace(".", "-")
    raise PoolwatchError(f"OTEL_* asks for OTLP, and its exporter is not there; install it with: pip install {missing}")


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _protocol(signal: str) -> str:
    """Give the protocol asked for, "" where none is: then gRPC comes first, as in OpenTelemetry's own SDK."""
    named = {"otlp_proto_grpc": "grpc", "otlp_proto_http": "http/protobuf"}
    said = next((named[name] for name in _exporters(signal) if name in named), "")
    variables = (f"OTEL_EXPORTER_OTLP_{_NAMES[signal]}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    return said or next((os.environ[name].strip() for name in variables if os.environ.get(name)), "")


def _exporters(signal: str) -> list[str]:
    named = os.environ.get(f"OTEL_{_NAMES[signal]}_EXPORTER", "")
    return [name.strip().lower() for name in named.split(",") if name.strip()]
