"""The program's own OpenTelemetry: leases, waits and findings reach a receiver that is not ours, right and in place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families as parse

from poolwatch.export.names import NAMES
from tests.launcher import environment, script
from tests.otlp import Received, attributes, receiver

SHOP = """
import json, os, sys, threading, time, urllib.request
from contextlib import contextmanager

import poolwatch
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

made = InMemorySpanExporter()
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(made))
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(tracers)
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=1e7)])
metrics.set_meter_provider(meters)
loggers = LoggerProvider()
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(loggers)

watch = poolwatch.install(interval=0.05, grace=0.1, serve="127.0.0.1:0")
engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, pool_size=2, max_overflow=0)
tracer = trace.get_tracer("shop")
told, kept = {}, []


@contextmanager
def request(name, parent=None):
    with tracer.start_as_current_span(name, context=parent) as span:
        context = span.get_span_context()
        told[name] = {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}
        yield told[name]


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


with request("GET /orders") as facts:
    before = time.time_ns()
    connection = engine.connect()
    facts["taken"] = before, time.time_ns()
    connection.execute(text("select 1"))
    time.sleep(0.02)
    before = time.time_ns()
    connection.close()
    facts["returned"] = before, time.time_ns()

unsampled = trace.SpanContext(7, 7, True, trace.TraceFlags(0))
with request("GET /unsampled", trace.set_span_in_context(trace.NonRecordingSpan(unsampled))):
    engine.connect().close()
    with poolwatch.scope("unsampled"):
        engine.connect().close()
engine.connect().close()

with request("GET /full") as facts:
    first, second = engine.connect(), engine.connect()

    def free():
        wait_for(lambda: watch.snapshot().waiters)
        facts["freed"] = time.time_ns(), 0
        first.close()

    threading.Thread(target=free).start()
    before = time.time_ns()
    engine.connect().close()
    facts["waited"] = before, time.time_ns()
    second.close()


def leak():
    with request("GET /leak"):
        kept.append(engine.connect())


thread = threading.Thread(target=leak, name="clerk")
thread.start()
thread.join()
wait_for(lambda: any(span.name.startswith("leak.") for span in made.get_finished_spans()))
kept.pop().close()
wait_for(lambda: sum(span.name.startswith("lease ") for span in made.get_finished_spans()) == 5)

meters.force_flush()
told["scrape"] = urllib.request.urlopen(watch._server.url + "metrics").read().decode()
pid = os.fork() if sys.argv[1] == "http" else -1  # gRPC's own threads do not survive a fork
if not pid:
    with request("GET /child"):
        engine.dispose(close=False)
        engine.connect().close()
    watch.uninstall()
    tracers.force_flush()
    os._exit(0)
if pid > 0:
    os.waitpid(pid, 0)
watch.uninstall()
tracers.force_flush()
loggers.force_flush()
print(json.dumps(told))
"""


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the shop; gives what it knows of itself and what a receiver got."""
    folder = tmp_path_factory.mktemp("shop")
    with receiver(request.param) as (endpoint, received):
        done = _run(folder, request.param.partition("/")[0], endpoint)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        leases = 5 + (request.param != "grpc")
        received.wait_for(
            lambda: _named(received, "lease ", "", leases) and len(received.logs) == 2 and received.metrics
        )
        yield told, received


def _run(folder: Path, protocol: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_INSECURE="true")
    words = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", script(folder, SHOP), protocol]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=100)


def _named(received: Received, prefix: str, trace: str = "", at_least: int = 0) -> list[Span]:
    found = [
        span for span in received.spans if span.name.startswith(prefix) and (not trace or span.trace_id.hex() == trace)
    ]
    return found if len(found) >= at_least else []


def _within(at: int, told: list[int]) -> bool:
    """Tell whether something happened between two moments, or a millisecond beside (all Unix nanoseconds)."""
    return told[0] - 1_000_000 <= at <= told[1] + 1_000_000


def test_a_lease_hangs_under_the_request(shop: Any) -> None:
    """The span of a lease is a child of the span that was current, has its times, and says who, where and how much."""
    told, received = shop
    facts = told["GET /orders"]
    (span,) = _named(received, "lease ", facts["trace"])
    assert span.parent_span_id.hex() == facts["span"]
    assert _within(span.start_time_unix_nano, facts["taken"])
    assert _within(span.end_time_unix_nano, facts["returned"])
    said = attributes(span)
    line = 1 + SHOP.split("\n").index("    connection = engine.connect()")
    assert (said["db.system.name"], said["db.client.connection.pool.name"]) == ("sqlite", "sqlite/shop.db")
    assert (said["code.function.name"], said["code.line.number"]) == ("<module>", line)
    assert (said["thread.name"], said["poolwatch.statements"]) == ("MainThread", 1)
    assert 0 < said["poolwatch.busy_seconds"] < 30


def test_an_unsampled_trace_gives_nothing(shop: Any) -> None:
    """Neither a trace that is not sampled nor no trace at all has spans of ours."""
    told, received = shop
    traces = {told[name]["trace"] for name in ("GET /orders", "GET /full", "GET /leak")}
    traces |= {span.trace_id.hex() for span in received.spans if span.name == "GET /child"}
    assert {span.trace_id.hex() for span in _named(received, "lease ")} == traces


def test_a_wait_has_a_span_of_its_own(shop: Any) -> None:
    """Where a checkout blocked, a span beside that of the lease says for how long; elsewhere there is none."""
    told, received = shop
    facts = told["GET /full"]
    (wait,) = _named(received, "wait ")
    assert (wait.trace_id.hex(), wait.parent_span_id.hex()) == (facts["trace"], facts["span"])
    assert _within(wait.start_time_unix_nano, facts["waited"])
    assert _within(wait.end_time_unix_nano, facts["waited"])
    assert wait.start_time_unix_nano < facts["freed"][0] < wait.end_time_unix_nano + 1_000_000


def test_a_finding_has_a_span_with_a_link(shop: Any) -> None:
    """A finding is an error in a trace of its own, links to where it came from, and is an event of the lease."""
    told, received = shop
    origin = told["GET /leak"]
    (finding,) = _named(received, "leak.")
    assert finding.status.code == Status.STATUS_CODE_ERROR
    assert "clerk" in finding.status.message
    assert finding.trace_id.hex() != origin["trace"]
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in finding.links] == [(origin["trace"], origin["span"])]
    (lease,) = _named(received, "lease ", origin["trace"])
    (event,) = lease.events
    assert (event.name, attributes(event)["poolwatch.finding.grade"]) == (finding.name, "probable")
    assert abs(event.time_unix_nano - finding.start_time_unix_nano) < 1_000_000_000
    assert lease.start_time_unix_nano < event.time_unix_nano < lease.end_time_unix_nano


def test_a_finding_is_a_log_record_in_its_trace(shop: Any) -> None:
    """Opened and resolved are log records with the trace and span that the lease was taken in."""
    told, received = shop
    origin = told["GET /leak"]
    changes = [attributes(record)["poolwatch.finding.change"] for record in received.logs]
    assert changes == ["opened", "resolved"]
    assert {(record.trace_id.hex(), record.span_id.hex()) for record in received.logs} == {
        (origin["trace"], origin["span"])
    }


def test_a_forked_child_begins_anew(shop: Any) -> None:
    """What a child lends is told by the child, under its own request; what the parent told is not told again."""
    _, received = shop
    for request in _named(received, "GET /child"):
        (lease,) = _named(received, "lease ", request.trace_id.hex())
        assert lease.parent_span_id == request.span_id
    assert len(_named(received, "lease ")) == 5 + len(_named(received, "GET /child"))


def test_metrics_are_those_of_the_scrape(shop: Any) -> None:
    """Every number of a scrape came over OTLP too, under its name there, histograms with their buckets."""
    told, received = shop
    ours = _ours(received)
    scraped = _scraped(told["scrape"])
    assert ours.keys() == scraped.keys()
    moving = {"poolwatch_watcher_cpu_seconds_total", "poolwatch_dropped_total"}
    for key in ours:
        if key[0] not in moving:
            assert ours[key] == pytest.approx(scraped[key], rel=1e-9), key


_LABELS = {
    "db.client.connection.pool.name": "db_client_connection_pool_name",
    "db.client.connection.state": "db_client_connection_state",
}
Numbers = dict[tuple[Any, ...], float]


def _key(name: str, labels: dict[str, str]) -> tuple[Any, ...]:
    return name, *sorted(labels.items())


def _scraped(text: str) -> Numbers:
    return {
        _key(s.name, s.labels): s.value
        for f in parse(text)
        for s in f.samples
        if "poolwatch" in s.name or "db_" in s.name
    }


def _ours(received: Received) -> Numbers:
    known = {name.otel: name.prometheus for name in NAMES}
    found: Numbers = {}
    for metric in received.metrics:
        data = getattr(metric, metric.WhichOneof("data"))
        for point in data.data_points:
            labels = {_LABELS.get(key, key): value for key, value in attributes(point).items()}
            name = known[metric.name]
            if metric.HasField("histogram"):
                found |= _histogram(name, labels, point)
            else:
                found[_key(name, labels)] = getattr(point, point.WhichOneof("value"))
    return found


def _histogram(name: str, labels: dict[str, str], point: Any) -> Numbers:
    found = {_key(f"{name}_sum", labels): point.sum, _key(f"{name}_count", labels): float(point.count)}
    below = 0
    for bound, count in zip([*map(str, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True):
        below += count
        found[_key(f"{name}_bucket", {**labels, "le": bound})] = float(below)
    return found
