"""``poolwatch run`` and the ``OTEL_*`` variables, for a program that knows nothing of OpenTelemetry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from poolwatch.errors import PoolwatchError
from poolwatch.export.otel import asked
from tests.launcher import poolwatch, script
from tests.otlp import attributes, receiver

SHOP = """
import sys, threading, time
from sqlalchemy import create_engine, text
engine = create_engine("sqlite:///shop.db")
kept = []
def order():
    kept.append(engine.connect())
thread = threading.Thread(target=order, name="clerk")
thread.start()
thread.join()
engine.connect().close()
"""
SET_UP = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
metrics.set_meter_provider(MeterProvider())
"""
NOBODY = """
from opentelemetry import metrics, trace
print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__)
"""


def values(received: Any, name: str) -> list[float]:
    """Give the numbers of a metric that came."""
    metric = next((metric for metric in reversed(received.metrics) if metric.name == name), None)
    return [point.as_int for point in metric.sum.data_points] if metric else []


def test_what_the_variables_ask_for_is_sent(tmp_path: Path) -> None:
    """Metrics, the finding's span and its log record arrive, and the program's global providers stay unset."""
    script(tmp_path, SHOP + NOBODY)
    with receiver("http/protobuf") as (endpoint, received):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        done = poolwatch("run", "--", "app.py", cwd=tmp_path, **env)
        assert (done.returncode, done.stdout) == (0, "ProxyTracerProvider _ProxyMeterProvider\n"), done.stderr
        (span,) = received.wait_for(lambda: received.spans)
        (record,) = received.wait_for(lambda: received.logs)
        received.wait_for(lambda: received.metrics)
    assert span.name == attributes(record)["poolwatch.finding.kind"] == "leak.owner_ended"
    assert values(received, "poolwatch.site_checkouts") == [1]
    assert "OTLP" not in done.stderr


def test_a_program_with_providers_keeps_to_them(tmp_path: Path) -> None:
    """Where the program sets up OpenTelemetry itself, nothing is sent past it."""
    script(tmp_path, SET_UP + SHOP)
    with receiver("http/protobuf") as (endpoint, received):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        done = poolwatch("run", "--", "app.py", cwd=tmp_path, **env)
        assert done.returncode == 0, done.stderr
        received.wait_for(lambda: received.logs)  # for which it has set up nothing
    assert not received.spans
    assert not values(received, "poolwatch.site_checkouts")


def test_a_protocol_that_is_none_is_named(tmp_path: Path) -> None:
    """What hinders OTLP is said once, by the launcher, and the command runs."""
    script(tmp_path, "print('ran')")
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
    done = poolwatch("run", "--", "app.py", cwd=tmp_path, **env)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.count("'http/json' is not allowed; use grpc or http/protobuf") == 1


@pytest.mark.parametrize(
    ("variables", "signals"),
    [
        ({}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, {"metrics", "spans", "logs"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318"}, {"spans"}),
        ({"OTEL_TRACES_EXPORTER": "console,otlp", "OTEL_METRICS_EXPORTER": "otlp_proto_grpc"}, {"metrics", "spans"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_LOGS_EXPORTER": "none"}, {"metrics", "spans"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, set()),
    ],
)
def test_which_signals_are_asked_for(
    variables: dict[str, str], signals: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint asks for what no other exporter is named for; OTEL_SDK_DISABLED is stronger."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert {signal for signal in asked.SIGNALS if asked.for_otlp(signal)} == signals


def test_a_missing_exporter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exporter's package is not installed, the error says what to install."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setattr(asked, "find_spec", lambda package: None)
    with pytest.raises(PoolwatchError, match="pip install opentelemetry-exporter-otlp-proto-grpc"):
        asked.exporter("spans")
